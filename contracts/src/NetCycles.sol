// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.30;

import {GrossList} from "./GrossList.sol";
import {Roles} from "./Roles.sol";
import {SettlementAccounts} from "./SettlementAccounts.sol";

bytes32 constant OPERATOR = keccak256("OPERATOR");

/// @title Deferred multilateral net settlement
abstract contract NetCycles is SettlementAccounts, Roles {
    uint256 public constant MAX_CYCLE_PARTICIPANTS = GrossList.MAX_PLACES;
    uint256 public constant MAX_CYCLE_PAYMENTS = 4_096;
    uint256 private constant ID_BYTES = 2;
    uint256 private constant POSITION_BYTES = 12;
    uint256 private constant PAYMENT_BYTES = 10;

    uint64 public lastCycle;

    function settleNet(uint64 cycle, bytes32 paymentsRoot, bytes calldata positions) external onlyRole(OPERATOR) {
        _requireNotPaused();
        _requireRecords(positions.length, POSITION_BYTES, MAX_CYCLE_PARTICIPANTS, positions.length, 0);
        _open(cycle);

        int256 sum;
        uint256 previous;
        unchecked {
            for (uint256 offset; offset != positions.length; offset += POSITION_BYTES) {
                uint256 record = _word(positions, offset);
                uint256 id = record >> 240;
                int256 position = int256(record << 16) >> 176;
                if (id <= previous) revert ParticipantsNotAscending(id);
                _moveByConsent(id, position);
                sum += position;
                previous = id;
            }
        }
        if (sum != 0) revert PositionsUnbalanced(sum);
        emit CycleSettled(cycle, paymentsRoot, positions);
    }

    function settleGross(uint64 cycle, bytes calldata participants, bytes calldata payments)
        external
        onlyRole(OPERATOR)
    {
        _requireNotPaused();
        _requireRecords(participants.length, ID_BYTES, MAX_CYCLE_PARTICIPANTS, participants.length, payments.length);
        _requireRecords(payments.length, PAYMENT_BYTES, MAX_CYCLE_PAYMENTS, participants.length, payments.length);
        _open(cycle);

        uint256 count = participants.length / ID_BYTES;
        (bytes memory padded, bytes32 paymentsRoot) = _padded(payments);
        (int256[] memory net, bool isListed) = GrossList.net(padded, payments.length, count);
        if (!isListed) revert ParticipantNotListed(count);
        bytes memory positions = _moveAll(participants, net);
        emit CycleSettled(cycle, paymentsRoot, positions);
    }

    // ------------------------------------------------------------------------------------------------ cycles

    /// @return positions What was moved, packed as `settleNet` takes it.
    function _moveAll(bytes calldata participants, int256[] memory net) private returns (bytes memory positions) {
        positions = new bytes(net.length * POSITION_BYTES + 20);
        uint256 previous;
        unchecked {
            for (uint256 i; i != net.length; ++i) {
                uint256 id = _word(participants, i * ID_BYTES) >> 240;
                if (id <= previous) revert ParticipantsNotAscending(id);
                _moveByConsent(id, net[i]);
                _writePosition(positions, i, id, net[i]);
                previous = id;
            }
        }
        _shorten(positions, net.length * POSITION_BYTES);
    }

    function _open(uint64 cycle) private {
        uint64 expected = lastCycle + 1;
        if (cycle != expected) revert CycleOutOfOrder(cycle, expected);
        lastCycle = cycle;
    }

    function _requireRecords(uint256 length, uint256 size, uint256 limit, uint256 participantBytes, uint256 paymentBytes)
        private
        pure
    {
        if (length == 0 || length % size != 0 || length / size > limit) {
            revert MalformedCycle(participantBytes, paymentBytes);
        }
    }

    // ------------------------------------------------------------------------------------------------ packed records

    /// @dev The word that starts at `offset`, which is inside; what lies behind the end is not used.
    function _word(bytes calldata records, uint256 offset) private pure returns (uint256 word) {
        assembly ("memory-safe") {
            word := calldataload(add(records.offset, offset))
        }
    }

    /// @return padded The records with 32 zeros behind them.
    /// @return root Their keccak256.
    function _padded(bytes calldata records) private pure returns (bytes memory padded, bytes32 root) {
        padded = new bytes(records.length + 32);
        assembly ("memory-safe") {
            calldatacopy(add(padded, 32), records.offset, records.length)
            root := keccak256(add(padded, 32), records.length)
        }
    }

    /// @dev Called place by place: the 20 bytes behind the record are the next one's, or the spare ones of `_shorten`.
    function _writePosition(bytes memory positions, uint256 place, uint256 id, int256 position) private pure {
        assembly ("memory-safe") {
            let target := add(add(positions, 32), mul(place, 12))
            mstore(target, or(shl(240, id), shr(16, shl(176, position))))
        }
    }

    function _shorten(bytes memory positions, uint256 length) private pure {
        assembly ("memory-safe") {
            mstore(positions, length)
        }
    }
}
