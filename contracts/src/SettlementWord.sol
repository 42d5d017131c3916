// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.30;

/// @title Two settlement accounts in one storage slot
/// @notice Participant 2k is in the lower half of word k, participant 2k + 1 in the upper one. A half, from the lowest
/// bit: balance 64 | netDebitCap 47 | epoch 17. It is all that a net position asks of a participant, and twenty
/// participants of a cycle are ten slots.
///
/// The sum of all balances fits 64 bits (`deposit` sees to it), so an amount that some participant gave up can be added
/// to any half without leaving its field. An amount that nobody has can be added before the call reverts for it; it
/// reaches no other half, because no epoch is all ones and such an amount has at most 80 bits.
library SettlementWord {
    uint256 internal constant BALANCE_MASK = type(uint64).max;
    uint256 internal constant CAP_MASK = (1 << 47) - 1;
    uint256 private constant EPOCH_MASK = (1 << 17) - 1;

    function index(uint256 id) internal pure returns (uint256) {
        return id >> 1;
    }

    /// @return How many bits the half of participant `id` is shifted.
    function shift(uint256 id) internal pure returns (uint256) {
        return (id & 1) << 7;
    }

    function balance(uint256 half) internal pure returns (uint256) {
        return half & BALANCE_MASK;
    }

    function netDebitCap(uint256 half) internal pure returns (uint256) {
        return (half >> 64) & CAP_MASK;
    }

    /// @return When a net cycle last found the participant in good standing (`epochOf`); zero if none did.
    function epoch(uint256 half) internal pure returns (uint256) {
        return (half >> 111) & EPOCH_MASK;
    }

    /// @return The currency's standing epoch as a half keeps it, from 1 to 2^17 - 2. It comes again after 131,070 changes.
    function epochOf(uint256 standingEpoch) internal pure returns (uint256) {
        return 1 + standingEpoch % (EPOCH_MASK - 1);
    }

    function withNetDebitCap(uint256 half, uint256 cap) internal pure returns (uint256) {
        return (half & ~(CAP_MASK << 64)) | (cap << 64);
    }

    function withEpoch(uint256 half, uint256 next) internal pure returns (uint256) {
        return (half & ~(EPOCH_MASK << 111)) | (next << 111);
    }
}
