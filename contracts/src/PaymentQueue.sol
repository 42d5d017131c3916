// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.30;

import {NetPositions} from "./NetPositions.sol";
import {SettlementAccounts} from "./SettlementAccounts.sol";

/// @title Gross settlement with a queue, and the resolution of gridlock
abstract contract PaymentQueue is SettlementAccounts {
    uint256 public constant MAX_RESOLUTION = 256;
    uint8 private constant HIGHEST_PRIORITY = 2;

    /// @dev How many payments of a payer wait unheld: 32 bits for each priority, the lowest lowest.
    mapping(uint256 payer => uint256 counts) private _queued;
    mapping(bytes32 paymentId => Payment) private _payments;

    // ------------------------------------------------------------------------------------------------ payer

    function submit(bytes32 paymentId, uint16 payee, uint72 amount, uint8 priority, uint64 expiry) external {
        uint16 payer = _requireCaller();
        _requireNotPaused();
        _requireInStanding(payee);
        if (uint16(bytes2(paymentId)) != payer) revert PaymentIdOfAnotherParticipant(paymentId, payer);
        PaymentState used = _payments[paymentId].state;
        if (used != PaymentState.NONE) revert PaymentIdUsed(paymentId, used);
        if (amount == 0) revert ZeroAmount();
        if (payer == payee) revert PaymentToSelf(payer);
        _requirePriority(priority);
        _requireUnexpired(paymentId, expiry);

        if (amount <= _balance(payer) && !_isQueued(payer, priority)) {
            _payments[paymentId] = Payment(amount, expiry, payer, payee, priority, PaymentState.SETTLED);
            _move(payer, -int256(uint256(amount)));
            _move(payee, int256(uint256(amount)));
            emit PaymentSettled(paymentId, payer, payee, amount, priority);
        } else {
            _payments[paymentId] = Payment(amount, expiry, payer, payee, priority, PaymentState.QUEUED);
            _queued[payer] += _one(priority);
            emit PaymentQueued(paymentId, payer, payee, amount, priority, expiry);
        }
    }

    function hold(bytes32 paymentId) external {
        Payment storage found = _requirePayer(paymentId);
        if (found.state != PaymentState.QUEUED) revert PaymentNotQueued(paymentId, found.state);

        found.state = PaymentState.HELD;
        _queued[found.payer] -= _one(found.priority);
        emit PaymentHeld(paymentId, found.payer);
    }

    function resume(bytes32 paymentId) external {
        Payment storage found = _requirePayer(paymentId);
        if (found.state != PaymentState.HELD) revert PaymentNotHeld(paymentId, found.state);
        _requireUnexpired(paymentId, found.expiry);

        found.state = PaymentState.QUEUED;
        _queued[found.payer] += _one(found.priority);
        emit PaymentResumed(paymentId, found.payer);
    }

    function reprioritise(bytes32 paymentId, uint8 priority) external {
        Payment storage found = _requirePayer(paymentId);
        _requireWaiting(paymentId, found.state);
        _requirePriority(priority);

        if (found.state == PaymentState.QUEUED) {
            _queued[found.payer] = _queued[found.payer] - _one(found.priority) + _one(priority);
        }
        found.priority = priority;
        emit PaymentReprioritised(paymentId, found.payer, priority);
    }

    function cancel(bytes32 paymentId) external {
        Payment storage found = _requirePayer(paymentId);
        _requireWaiting(paymentId, found.state);

        _remove(found, PaymentState.CANCELLED);
        emit PaymentCancelled(paymentId, found.payer);
    }

    // ------------------------------------------------------------------------------------------------ anybody

    function expire(bytes32[] calldata paymentIds) external {
        for (uint256 i; i < paymentIds.length; ++i) {
            bytes32 paymentId = paymentIds[i];
            Payment storage found = _payments[paymentId];
            _requireWaiting(paymentId, found.state);
            if (block.timestamp < found.expiry) revert ExpiryNotPassed(paymentId, found.expiry, block.timestamp);

            _remove(found, PaymentState.EXPIRED);
            emit PaymentExpired(paymentId, found.payer);
        }
    }

    function resolve(bytes32[] calldata paymentIds) external {
        _requireNotPaused();
        uint256 count = paymentIds.length;
        if (count == 0 || count > MAX_RESOLUTION) revert ResolutionSize(count, MAX_RESOLUTION);

        for (uint256 i; i < count; ++i) {
            _takeFromQueue(paymentIds[i]);
        }
        for (uint256 i; i < count; ++i) {
            Payment storage settled = _payments[paymentIds[i]];
            _settlePosition(settled.payer);
            _settlePosition(settled.payee);
        }
        emit QueueResolved(keccak256(abi.encodePacked(paymentIds)), msg.sender, count);
    }

    function payment(bytes32 paymentId) external view returns (Payment memory) {
        return _payments[paymentId];
    }

    function participant(uint16 id) external view returns (Participant memory found) {
        found = _describe(id);
        uint256 counts = _queued[id];
        for (uint256 priority; priority <= HIGHEST_PRIORITY; ++priority) {
            found.queued[priority] = uint32(counts >> (32 * priority));
        }
    }

    // ------------------------------------------------------------------------------------------------ resolution

    function _takeFromQueue(bytes32 paymentId) private {
        Payment memory found = _payments[paymentId];
        if (found.state != PaymentState.QUEUED) revert PaymentNotQueued(paymentId, found.state);
        _requireUnexpired(paymentId, found.expiry);

        _payments[paymentId].state = PaymentState.SETTLED;
        _queued[found.payer] -= _one(found.priority);
        NetPositions.payOut(found.payer, found.amount, found.priority);
        NetPositions.receiveIn(found.payee, found.amount);
        emit PaymentSettled(paymentId, found.payer, found.payee, found.amount, found.priority);
    }

    /// @dev Once for each participant: the position is gone when the next of its payments asks.
    function _settlePosition(uint16 id) private {
        (bool isOpen, int256 position, uint256 lowest) = NetPositions.take(id);
        if (!isOpen) return;
        if (lowest != 0 && _isQueued(id, lowest)) revert HigherPriorityLeftBehind(id, lowest - 1);
        _requireInStanding(id);
        _move(id, position);
    }

    // ------------------------------------------------------------------------------------------------ rules

    function _remove(Payment storage found, PaymentState state) private {
        if (found.state == PaymentState.QUEUED) _queued[found.payer] -= _one(found.priority);
        found.state = state;
    }

    function _requirePayer(bytes32 paymentId) private view returns (Payment storage found) {
        uint16 caller = _requireCaller();
        found = _payments[paymentId];
        if (found.payer != caller) revert NotThePayer(paymentId, found.payer, caller);
    }

    function _requireWaiting(bytes32 paymentId, PaymentState state) private pure {
        if (state != PaymentState.QUEUED && state != PaymentState.HELD) revert PaymentNotWaiting(paymentId, state);
    }

    function _requireUnexpired(bytes32 paymentId, uint64 expiry) private view {
        if (block.timestamp >= expiry) revert ExpiryPassed(paymentId, expiry, block.timestamp);
    }

    function _requirePriority(uint8 priority) private pure {
        if (priority > HIGHEST_PRIORITY) revert UnknownPriority(priority);
    }

    /// @return Whether an unheld payment of this or a higher priority waits.
    function _isQueued(uint256 payer, uint256 priority) private view returns (bool) {
        return _queued[payer] >> (32 * priority) != 0;
    }

    function _one(uint256 priority) private pure returns (uint256) {
        return 1 << (32 * priority);
    }
}
