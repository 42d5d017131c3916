// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.30;

/// @title The limits of a tier in one storage slot
/// @notice From the lowest bit: holdingLimit 96 | perPaymentLimit 64 | dailyLimit 64. A tier that was never set has
/// limits of zero: it can neither pay nor hold.
library TierWord {
    function pack(uint256 holding, uint256 perPayment, uint256 daily) internal pure returns (uint256) {
        return holding | (perPayment << 96) | (daily << 160);
    }

    function holdingLimit(uint256 word) internal pure returns (uint256) {
        return word & type(uint96).max;
    }

    function perPaymentLimit(uint256 word) internal pure returns (uint256) {
        return (word >> 96) & type(uint64).max;
    }

    function dailyLimit(uint256 word) internal pure returns (uint256) {
        return word >> 160;
    }
}
