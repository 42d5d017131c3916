// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.30;

import {ISettlement} from "../../contracts/src/interfaces/ISettlement.sol";
import {SettlementWorld} from "./SettlementWorld.sol";
import {Vm, VM} from "./Vm.sol";

/// @title What must hold of a settlement after each step, whoever made it
/// @notice Every action carries the modifier `step`, and asks with `_settle`, which says what the model expects.
abstract contract SettlementWatch is SettlementWorld {
    /// @dev What a diligent observer holds, from the settlement's events alone.
    int256[BANKS + 2] private observed;
    mapping(bytes32 paymentId => bool) private settled;
    /// @dev Before this step.
    int256[BANKS + 2] private before;
    bool[BANKS + 2] private stood;
    string private surprise;
    uint256 private turn;

    constructor() {
        _follow(VM.getRecordedLogs());
    }

    modifier step() {
        VM.warp(clock);
        for (uint16 id = 1; id <= BANKS; ++id) {
            before[id] = observed[id];
            stood[id] = isInStanding[id];
        }
        _;
        _compare();
    }

    /// @dev Sends to the settlement. Whether it is done must be just what the model says.
    function _settle(address sender, bytes memory data, bool isExpected) internal returns (bool isDone) {
        bytes memory answer;
        VM.getRecordedLogs();
        VM.prank(sender);
        (isDone, answer) = address(settlement).call(data);
        if (isDone) _follow(VM.getRecordedLogs()); // forge records what a refused call would have said, too
        else ++refusals[bytes4(answer)];
        if (isDone && !isExpected) surprise = "what the rules forbid is refused";
        if (!isDone && isExpected) surprise = "what the rules allow is done";
    }

    function _follow(Vm.Log[] memory seen) private {
        for (uint256 i; i < seen.length; ++i) {
            if (seen[i].emitter != address(settlement)) continue;
            bytes32 kind = seen[i].topics[0];
            if (kind == ISettlement.Deposited.selector) {
                observed[_topic(seen[i], 1)] += int256(abi.decode(seen[i].data, (uint256)));
            } else if (kind == ISettlement.Withdrawn.selector) {
                observed[_topic(seen[i], 1)] -= int256(abi.decode(seen[i].data, (uint256)));
            } else if (kind == ISettlement.PaymentSettled.selector) {
                _followPayment(seen[i]);
            } else if (kind == ISettlement.CycleSettled.selector) {
                _followCycle(abi.decode(seen[i].data, (bytes)));
            }
        }
    }

    function _topic(Vm.Log memory seen, uint256 place) private pure returns (uint256) {
        return uint256(seen.topics[place]);
    }

    function _followPayment(Vm.Log memory seen) private {
        if (settled[seen.topics[1]]) _break("a payment settles at most once");
        settled[seen.topics[1]] = true;
        (uint256 amount,) = abi.decode(seen.data, (uint256, uint8));
        observed[_topic(seen, 2)] -= int256(amount);
        observed[_topic(seen, 3)] += int256(amount);
    }

    function _followCycle(bytes memory positions) private {
        for (uint256 offset; offset < positions.length; offset += 12) {
            uint256 record;
            assembly ("memory-safe") {
                record := mload(add(add(positions, 32), offset))
            }
            observed[record >> 240] += int256(record << 16) >> 176;
        }
    }

    function _compare() private {
        int256 sum;
        for (uint16 id = 1; id <= BANKS; ++id) {
            sum += observed[id];
            if (observed[id] < 0) _break("settlement leaves nobody below zero");
            if (!stood[id] && observed[id] != before[id]) {
                _break("a position out of good standing does not change");
            }
        }
        if (sum != int256(currency.balanceOf(address(settlement)))) {
            _break("the positions add up to what the settlement holds");
        }
        if (bytes(surprise).length != 0) _break(surprise);
        uint256[BANKS + 2] memory queued;
        for (uint256 i; i < open.length; ++i) {
            ISettlement.Payment memory expected = _comparePayment(open[i]);
            if (expected.state != ISettlement.PaymentState.QUEUED) continue;
            queued[expected.payer] += 1 << (32 * expected.priority);
        }
        for (uint16 id = 1; id <= BANKS; ++id) {
            _compareParticipant(id, queued);
        }
        // all of them in turn: what ended has ended for ever
        for (uint256 i; i < 3 && i < ended.length; ++i) {
            _comparePayment(ended[turn++ % ended.length]);
        }
        if (uint256(VM.load(address(settlement), bytes32(uint256(3)))) != cycles) _break("cycles follow one another");
    }

    // With the balance of the settlement, all that it stores, where README.md says: so a refusal has changed nothing.

    function _compareParticipant(uint16 id, uint256[BANKS + 2] memory queued) private {
        uint256 half = _stored(id >> 1, 0) >> (128 * (id & 1));
        if (int256(half & type(uint64).max) != observed[id]) _break("the events tell every position");
        if (observed[id] != funds[id]) _break("a position is what was settled");
        if ((half >> 64) & NO_CAP != caps[id]) _break("a consent is its participant's");
        if (_stored(id, 1) != queued[id]) _break("the counts are the payments that wait");
    }

    function _comparePayment(bytes32 id) private returns (ISettlement.Payment memory expected) {
        expected = model[id];
        uint256 word = uint256(expected.amount) | uint256(expected.expiry) << 64 | uint256(expected.payer) << 128
            | uint256(expected.payee) << 144 | uint256(expected.priority) << 160 | uint256(expected.state) << 168;
        if (_stored(uint256(id), 2) != word) _break("a payment is what was done with it");
    }

    function _stored(uint256 key, uint256 slot) private view returns (uint256) {
        return uint256(VM.load(address(settlement), keccak256(abi.encode(key, slot))));
    }
}
