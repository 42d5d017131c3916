// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.30;

/// @title An account in one storage slot
/// @notice From the lowest bit: balance 96 | nonce 32 | spentToday 64 | day 16 | participant 16 | tier 8 | flags 24.
/// A payment reads and writes two such words and no other slot of an account. The balance is lowest, so that adding
/// or subtracting an amount that is known to fit is one operation on the whole word.
library AccountWord {
    uint256 internal constant BALANCE_MASK = type(uint96).max;
    uint256 internal constant NONCE_MASK = uint256(type(uint32).max) << 96;
    uint256 internal constant SPENDING_MASK = uint256(type(uint80).max) << 128; // spentToday and day
    uint256 internal constant MEMBERSHIP_MASK = uint256(type(uint24).max) << 208; // participant and tier

    uint256 internal constant REGISTERED = 1 << 232;
    uint256 internal constant FROZEN = 2 << 232;
    uint256 internal constant LINKED = 4 << 232;
    uint256 internal constant HAS_HOLD = 8 << 232;
    uint256 internal constant INSTITUTION = 16 << 232;
    uint256 internal constant SYSTEM = 32 << 232;
    uint256 internal constant CLOSED = 64 << 232;
    uint256 internal constant SUSPENDED = 128 << 232;

    /// @dev Flags with which nobody pays.
    uint256 internal constant PAYER_REFUSED = FROZEN | CLOSED | SUSPENDED;
    /// @dev Of these, a payee must have REGISTERED alone.
    uint256 internal constant STATUS_MASK = REGISTERED | FROZEN | CLOSED | SUSPENDED | SYSTEM;

    function balance(uint256 word) internal pure returns (uint256) {
        return word & BALANCE_MASK;
    }

    function nonce(uint256 word) internal pure returns (uint256) {
        return (word >> 96) & type(uint32).max;
    }

    function spentToday(uint256 word) internal pure returns (uint256) {
        return (word >> 128) & type(uint64).max;
    }

    function day(uint256 word) internal pure returns (uint256) {
        return (word >> 192) & type(uint16).max;
    }

    /// @return What was paid on day `today`: spentToday, or zero if that tells of another day.
    function spentOn(uint256 word, uint256 today) internal pure returns (uint256) {
        return day(word) == today ? spentToday(word) : 0;
    }

    function participant(uint256 word) internal pure returns (uint256) {
        return (word >> 208) & type(uint16).max;
    }

    function tier(uint256 word) internal pure returns (uint256) {
        return (word >> 224) & type(uint8).max;
    }

    function flags(uint256 word) internal pure returns (uint256) {
        return word >> 232;
    }

    function has(uint256 word, uint256 flag) internal pure returns (bool) {
        return word & flag != 0;
    }

    /// @param next At most type(uint32).max.
    function withNonce(uint256 word, uint256 next) internal pure returns (uint256) {
        return (word & ~NONCE_MASK) | (next << 96);
    }

    /// @param spent At most type(uint64).max.
    /// @param today At most type(uint16).max.
    function withSpending(uint256 word, uint256 spent, uint256 today) internal pure returns (uint256) {
        return (word & ~SPENDING_MASK) | (spent << 128) | (today << 192);
    }

    function withMembership(uint256 word, uint256 participant_, uint256 tier_) internal pure returns (uint256) {
        return (word & ~MEMBERSHIP_MASK) | (participant_ << 208) | (tier_ << 224);
    }
}
