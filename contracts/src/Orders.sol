// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.30;

import {IERC20} from "@openzeppelin/contracts/token/ERC20/IERC20.sol";

import {AccountWord} from "./AccountWord.sol";
import {DigitalCurrencyStorage, Order, OrderUse, Restriction, digitalCurrencyStorage} from "./DigitalCurrencyStorage.sol";
import {REGISTRAR, RoleChecks} from "./Roles.sol";
import {Standing} from "./Standing.sol";
import {IAdministration} from "./interfaces/IAdministration.sol";
import {IOrders} from "./interfaces/IOrders.sol";
import {IPayments} from "./interfaces/IPayments.sol";

/// @title What may be done to an account under a registered order
abstract contract Orders is IOrders, RoleChecks, Standing {
    using AccountWord for uint256;

    function registerOrder(bytes32 id, address authority, uint96 cap, uint64 expiry) external onlyRole(REGISTRAR) {
        DigitalCurrencyStorage storage $ = digitalCurrencyStorage();
        if (authority == address(0)) revert IPayments.ZeroAddress();
        if (authority == msg.sender) revert AuthorityIsRegistrar(id, authority);
        if ($.orders[id].authority != address(0)) revert OrderExists(id);
        if (block.timestamp >= expiry) revert OrderExpired(id, expiry, block.timestamp);

        $.orders[id] = Order({authority: authority, cap: cap, used: 0, expiry: expiry, isRevoked: false});
        emit OrderRegistered(id, authority, cap, expiry);
    }

    function revokeOrder(bytes32 id) external onlyRole(REGISTRAR) {
        Order storage found = digitalCurrencyStorage().orders[id];
        if (found.authority == address(0)) revert UnknownOrder(id);
        if (found.isRevoked) revert OrderIsRevoked(id);

        found.isRevoked = true;
        emit OrderRevoked(id);
    }

    function freeze(bytes32 id, address owner) external {
        DigitalCurrencyStorage storage $ = digitalCurrencyStorage();
        _requireInForce($.orders[id], id);
        uint256 word = _requireSubject($, owner);
        OrderUse storage use = $.orderUses[id][owner];
        if (use.isFrozen) revert FrozenUnderOrder(id, owner);

        use.isFrozen = true;
        $.restrictions[owner].freezes += 1;
        emit AccountFrozen(id, owner);
        if (!word.has(AccountWord.FROZEN)) _writeMembership(owner, word | AccountWord.FROZEN);
    }

    function unfreeze(bytes32 id, address owner) external {
        DigitalCurrencyStorage storage $ = digitalCurrencyStorage();
        _requireReleaser($.orders[id], id);
        OrderUse storage use = $.orderUses[id][owner];
        if (!use.isFrozen) revert NotFrozenUnderOrder(id, owner);
        uint256 word = $.accounts[owner];
        uint32 others = $.restrictions[owner].freezes - 1;

        use.isFrozen = false;
        $.restrictions[owner].freezes = others;
        emit AccountUnfrozen(id, owner);
        if (others == 0) _writeMembership(owner, word & ~AccountWord.FROZEN);
    }

    function hold(bytes32 id, address owner, uint96 amount) external {
        DigitalCurrencyStorage storage $ = digitalCurrencyStorage();
        Order storage found = $.orders[id];
        _requireInForce(found, id);
        uint256 word = _requireSubject($, owner);
        if (amount == 0) revert IPayments.ZeroAmount();
        _charge(found, id, amount);

        $.orderUses[id][owner].held += amount;
        $.restrictions[owner].held += amount;
        emit FundsHeldUnderOrder(id, owner, amount);
        if (!word.has(AccountWord.HAS_HOLD)) _writeMembership(owner, word | AccountWord.HAS_HOLD);
    }

    function release(bytes32 id, address owner, uint96 amount) external {
        DigitalCurrencyStorage storage $ = digitalCurrencyStorage();
        Order storage found = $.orders[id];
        _requireReleaser(found, id);
        uint96 held = $.orderUses[id][owner].held;
        if (amount == 0) revert IPayments.ZeroAmount();
        if (amount > held) revert HoldExceeded(id, owner, held, amount);

        found.used -= amount;
        emit FundsReleased(id, owner, amount);
        _lift($, id, owner, amount, $.accounts[owner]);
    }

    function forceTransfer(bytes32 id, address payer, address payee, uint96 amount) external whenNotPaused {
        DigitalCurrencyStorage storage $ = digitalCurrencyStorage();
        Order storage found = $.orders[id];
        _requireInForce(found, id);
        uint256 word = _requireSubject($, payer);
        _requireSubject($, payee);
        if (amount == 0) revert IPayments.ZeroAmount();
        if (payer == payee) revert IPayments.SelfPayment(payer);
        uint96 held = $.orderUses[id][payer].held;
        uint256 heldByOthers = $.restrictions[payer].held - held;
        uint256 free = word.balance() > heldByOthers ? word.balance() - heldByOthers : 0;
        if (amount > free) revert IPayments.InsufficientBalance(payer, free, amount);
        uint96 fromHold = amount < held ? amount : held;
        _charge(found, id, amount - fromHold);

        word -= amount;
        $.accounts[payer] = word;
        $.accounts[payee] += amount;
        emit IERC20.Transfer(payer, payee, amount);
        emit TransferForced(id, payer, payee, amount);
        _lift($, id, payer, fromHold, word);
    }

    function order(bytes32 id) external view returns (Order memory) {
        return digitalCurrencyStorage().orders[id];
    }

    function orderUse(bytes32 id, address owner) external view returns (OrderUse memory) {
        return digitalCurrencyStorage().orderUses[id][owner];
    }

    function restriction(address owner) external view returns (Restriction memory) {
        return digitalCurrencyStorage().restrictions[owner];
    }

    // ------------------------------------------------------------------------------------------------ inside

    function _requireInForce(Order storage found, bytes32 id) private view {
        address authority = found.authority;
        if (authority == address(0)) revert UnknownOrder(id);
        if (msg.sender != authority) revert NotTheAuthority(id, msg.sender);
        // An authority that was given the role since.
        if (_hasRole(REGISTRAR, authority)) revert AuthorityIsRegistrar(id, authority);
        if (found.isRevoked) revert OrderIsRevoked(id);
        if (block.timestamp >= found.expiry) revert OrderExpired(id, found.expiry, block.timestamp);
    }

    /// @dev Also under an order that ran out or was revoked: what it did must end.
    function _requireReleaser(Order storage found, bytes32 id) private view {
        address authority = found.authority;
        if (authority == address(0)) revert UnknownOrder(id);
        if (msg.sender != authority && !_hasRole(REGISTRAR, msg.sender)) revert NotTheAuthority(id, msg.sender);
    }

    /// @return word Of an account that an order can concern: the system's are no one's money alone.
    function _requireSubject(DigitalCurrencyStorage storage $, address owner) private view returns (uint256 word) {
        word = $.accounts[owner];
        if (!word.has(AccountWord.REGISTERED)) revert AccountNotRegistered(owner);
        if (word.has(AccountWord.SYSTEM)) revert IAdministration.AccountNotChangeable(owner);
    }

    function _charge(Order storage found, bytes32 id, uint96 amount) private {
        uint96 left = found.cap - found.used;
        if (amount > left) revert OrderCapExceeded(id, left, amount);
        found.used += amount;
    }

    /// @dev Takes `amount` off what the order holds of the account.
    function _lift(DigitalCurrencyStorage storage $, bytes32 id, address owner, uint96 amount, uint256 word) private {
        if (amount == 0) return;
        uint96 held = $.restrictions[owner].held - amount;
        $.orderUses[id][owner].held -= amount;
        $.restrictions[owner].held = held;
        if (held == 0) _writeMembership(owner, word & ~AccountWord.HAS_HOLD);
    }
}
