// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.30;

/// @title The limits of a tier in one storage slot
/// @notice From the lowest bit: holdingLimit 96 | perPaymentLimit 64 | dailyLimit 64 | since 32. A tier that was never set
/// has limits of zero: it can neither pay nor hold. `since` is when these limits were set, in seconds since 1970.
///
/// In the table, but not in the history, the highest bit is PAUSED instead (and so `since` is not read from it): every
/// defined tier carries it while the currency is paused, so that a payment on the single path, which reads its tier
/// anyway, needs no further slot.
library TierWord {
    uint256 internal constant PAUSED = 1 << 255;

    /// @param time At most 32 bits.
    function pack(uint256 holding, uint256 perPayment, uint256 daily, uint256 time) internal pure returns (uint256) {
        return holding | (perPayment << 96) | (daily << 160) | (time << 224);
    }

    function holdingLimit(uint256 word) internal pure returns (uint256) {
        return word & type(uint96).max;
    }

    function perPaymentLimit(uint256 word) internal pure returns (uint256) {
        return (word >> 96) & type(uint64).max;
    }

    function dailyLimit(uint256 word) internal pure returns (uint256) {
        return (word >> 160) & type(uint64).max;
    }

    function since(uint256 word) internal pure returns (uint256) {
        return word >> 224;
    }

    function isPaused(uint256 word) internal pure returns (bool) {
        return word & PAUSED != 0;
    }
}
