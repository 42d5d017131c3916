// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.30;

import {Order, OrderUse, Restriction} from "../DigitalCurrencyStorage.sol";

/// @title The public register of orders
/// @notice Freezing, holding and moving somebody's money against their will is possible only under an order that the
/// registrar registered: its id is the hash of its document, and it names the authority that may use it, the most that
/// may be held and moved under it, and until when. The registrar cannot use an order, and the authority cannot register
/// one. Every use and every release is an event with the order's id.
///
/// Several orders can concern one account; none of them ends what another one does. What an order holds cannot be taken
/// under another. Whom an order concerns is in its document and shows with its first use: a name that stood here before
/// would be a warning.
interface IOrders {
    event OrderRegistered(bytes32 indexed order, address indexed authority, uint256 cap, uint256 expiry);
    event OrderRevoked(bytes32 indexed order);
    event AccountFrozen(bytes32 indexed order, address indexed account);
    event AccountUnfrozen(bytes32 indexed order, address indexed account);
    event FundsHeldUnderOrder(bytes32 indexed order, address indexed account, uint256 amount);
    event FundsReleased(bytes32 indexed order, address indexed account, uint256 amount);

    /// @notice Follows the Transfer.
    event TransferForced(bytes32 indexed order, address indexed payer, address indexed payee, uint256 amount);

    error UnknownOrder(bytes32 order);
    error OrderExists(bytes32 order);
    error AuthorityIsRegistrar(bytes32 order, address authority);
    error OrderIsRevoked(bytes32 order);
    error OrderExpired(bytes32 order, uint256 expiry, uint256 blockTime);
    error OrderCapExceeded(bytes32 order, uint256 left, uint256 amount);
    error NotTheAuthority(bytes32 order, address caller);
    error FrozenUnderOrder(bytes32 order, address account);
    error NotFrozenUnderOrder(bytes32 order, address account);
    error HoldExceeded(bytes32 order, address account, uint256 held, uint256 amount);
    error AccountNotRegistered(address account);

    /// @notice Registers an order. For REGISTRAR.
    /// @param id The hash of the document. An id is used once.
    /// @param authority Who may use it: never who holds REGISTRAR, so that two keys are needed to move anybody's money.
    /// @param cap The most that may be held and moved under it, together, in minor units.
    /// @param expiry Seconds since 1970; usable strictly before it.
    /// @dev Reverts with OrderExists, OrderExpired, AuthorityIsRegistrar, ZeroAddress.
    function registerOrder(bytes32 id, address authority, uint96 cap, uint64 expiry) external;

    /// @notice Ends the use of an order. What was frozen or held under it stays until it is released. For REGISTRAR.
    /// @dev Reverts with UnknownOrder, OrderIsRevoked.
    function revokeOrder(bytes32 id) external;

    /// @notice Stops all payments of an account and to it. For the order's authority, as hold and forceTransfer.
    /// @dev Reverts with UnknownOrder, NotTheAuthority, AuthorityIsRegistrar, OrderIsRevoked, OrderExpired,
    /// AccountNotRegistered, AccountNotChangeable (a system account), FrozenUnderOrder.
    function freeze(bytes32 id, address owner) external;

    /// @notice Ends a freeze; the account stays frozen while another order freezes it. For the order's authority and
    /// REGISTRAR, also when the order has run out.
    /// @dev Reverts with UnknownOrder, NotTheAuthority, NotFrozenUnderOrder.
    function unfreeze(bytes32 id, address owner) external;

    /// @notice Holds an amount of an account's balance, which may be more than there is: then all that comes in is held.
    /// @dev Reverts as freeze, and with ZeroAmount, OrderCapExceeded.
    function hold(bytes32 id, address owner, uint96 amount) external;

    /// @notice Ends a hold or a part of it; the cap is free again by as much. For the order's authority and REGISTRAR, also
    /// when the order has run out.
    /// @dev Reverts with UnknownOrder, NotTheAuthority, ZeroAmount, HoldExceeded.
    function release(bytes32 id, address owner, uint96 amount) external;

    /// @notice Moves money: first what this order holds, then what no order holds. Limits, freezes and standing of both
    /// sides do not matter, and nothing waterfalls; a pause of the currency does.
    /// @dev Reverts as hold, and with SelfPayment, InsufficientBalance, CurrencyPaused.
    function forceTransfer(bytes32 id, address payer, address payee, uint96 amount) external;

    function order(bytes32 id) external view returns (Order memory);

    /// @notice What one order does to one account.
    function orderUse(bytes32 id, address owner) external view returns (OrderUse memory);

    /// @notice What all orders together do to an account.
    function restriction(address owner) external view returns (Restriction memory);
}
