// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.30;

/// @title Trades
/// @notice Exchanges of value for value: delivery versus payment, payment versus payment, or any bounded set of legs in
/// ERC-20 tokens. All legs move in one transaction or none does. It has no roles, holds nothing, cannot be upgraded, and
/// serves every currency and security of its chain; it is apart from Settlement so that tokens nobody has vouched for are
/// never called by a contract that holds money.
///
/// A payer lets this contract spend the leg's token (ERC-20 `approve`) and affirms the trade. An allowance alone moves
/// nothing: only legs whose payer affirmed exactly this trade are executed, once, strictly before its expiry.
///
/// A leg must arrive whole: where a currency would pass on part of it (its waterfall) or a token keeps a fee, the trade
/// reverts. Affirm only tokens that you trust: a dishonest token can lie about its own balances, though it can neither
/// re-enter nor touch another leg.
interface ITrades {
    // ------------------------------------------------------------------------------------------------ types

    /// @notice EXECUTED and CANCELLED are for ever.
    enum TradeState {
        NONE,
        OPEN,
        EXECUTED,
        CANCELLED
    }

    struct Leg {
        address token;
        address payer;
        address payee;
        uint256 amount;
    }

    /// @param expiry Seconds since 1970; it executes strictly before it.
    /// @param payers Bit i for each leg i that is the first of its payer.
    /// @param affirmed Those bits of `payers` whose payer affirmed.
    struct Trade {
        uint64 expiry;
        uint16 payers;
        uint16 affirmed;
        TradeState state;
        Leg[] legs;
    }

    // ------------------------------------------------------------------------------------------------ events

    event TradeProposed(bytes32 indexed tradeId, address indexed proposer, uint64 expiry, bytes32 salt, Leg[] legs);
    event TradeAffirmed(bytes32 indexed tradeId, address indexed payer);

    /// @notice The tokens' own Transfer events come before it, leg by leg.
    event TradeExecuted(bytes32 indexed tradeId, address indexed by);
    event TradeCancelled(bytes32 indexed tradeId, address indexed by);

    // ------------------------------------------------------------------------------------------------ errors

    error LegCount(uint256 legs, uint256 limit);
    error MalformedLeg(uint256 leg, address token, address payer, address payee, uint256 amount);
    error TradeExists(bytes32 tradeId);
    error TradeNotOpen(bytes32 tradeId, TradeState state);
    error TradeExpired(bytes32 tradeId, uint64 expiry, uint256 blockTime);
    error NotAPayer(bytes32 tradeId, address caller);
    error NotAParty(bytes32 tradeId, address caller);
    error NotAffirmed(bytes32 tradeId, address payer);

    /// @notice The payee of `leg` received `received`, less than the `amount` that its payer affirmed.
    error LegShort(bytes32 tradeId, uint256 leg, address payee, uint256 received, uint256 amount);

    // ------------------------------------------------------------------------------------------------ functions

    /// @notice Fixes legs and expiry. The proposer must be a party, and affirms like everybody else.
    /// @param salt Tells apart trades of equal content by one proposer.
    /// @return tradeId As `tradeIdOf` says.
    /// @dev Reverts with LegCount, MalformedLeg (no amount, payer or payee, payer and payee the same, a token without
    /// code, a payee that is this contract or the token), TradeExpired, TradeExists, NotAParty.
    function proposeTrade(Leg[] calldata legs, uint64 expiry, bytes32 salt) external returns (bytes32 tradeId);

    /// @notice Agrees to pay the caller's legs of this trade. It may be said again; only `cancelTrade` takes it back.
    /// @dev Reverts with TradeNotOpen, TradeExpired, NotAPayer.
    function affirm(bytes32 tradeId) external;

    /// @notice Moves all legs in their order, or none. For any party, once every payer affirmed.
    /// @dev Reverts with TradeNotOpen, TradeExpired, NotAParty, NotAffirmed, LegShort, and with whatever a token refuses.
    function executeTrade(bytes32 tradeId) external;

    /// @notice Ends a trade that was not executed. For any party.
    /// @dev Reverts with TradeNotOpen, NotAParty.
    function cancelTrade(bytes32 tradeId) external;

    // ------------------------------------------------------------------------------------------------ views

    /// @return keccak256(abi.encode(chain id, this contract, proposer, legs, expiry, salt)).
    function tradeIdOf(address proposer, Leg[] calldata legs, uint64 expiry, bytes32 salt)
        external
        view
        returns (bytes32);

    function trade(bytes32 tradeId) external view returns (Trade memory);

    // solhint-disable-next-line func-name-mixedcase
    function MAX_LEGS() external view returns (uint256);
}
