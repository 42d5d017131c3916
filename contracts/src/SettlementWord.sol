// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.30;

/// @title Two settlement accounts in one storage slot
/// @notice Participant 2k is in the lower half of word k, participant 2k + 1 in the upper one. A half, from the lowest
/// bit: balance 72 | netDebitCap 55 | inStanding 1. It is all that a net position asks of a participant, and twenty
/// participants of a cycle are ten slots.
///
/// The sum of all balances fits 72 bits (`deposit` sees to it), so an amount that some participant gave up can be added
/// to any half without leaving its field.
library SettlementWord {
    uint256 internal constant BALANCE_MASK = type(uint72).max;
    uint256 internal constant CAP_MASK = (1 << 55) - 1;
    uint256 internal constant IN_STANDING = 1 << 127;

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

    /// @param half Without the other half above it, as the following.
    function netDebitCap(uint256 half) internal pure returns (uint256) {
        return (half >> 72) & CAP_MASK;
    }

    function isInStanding(uint256 half) internal pure returns (bool) {
        return half & IN_STANDING != 0;
    }

    function withNetDebitCap(uint256 half, uint256 cap) internal pure returns (uint256) {
        return (half & ~(CAP_MASK << 72)) | (cap << 72);
    }

    function withStanding(uint256 half, bool inStanding) internal pure returns (uint256) {
        return inStanding ? half | IN_STANDING : half & ~IN_STANDING;
    }
}
