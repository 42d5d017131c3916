// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.30;

/// @title The net positions of one resolution, in transient storage
/// @notice One word for each participant: position (signed) above the lowest 8 bits, which hold one more than the lowest
/// priority that it pays, or zero if it pays nothing. Slots are participant ids: nothing else of the contract is transient.
library NetPositions {
    function receiveIn(uint256 id, uint256 amount) internal {
        unchecked {
            _store(id, _load(id) + (amount << 8));
        }
    }

    function payOut(uint256 id, uint256 amount, uint256 priority) internal {
        unchecked {
            uint256 word = _load(id);
            uint256 lowest = word & 0xff;
            uint256 next = lowest == 0 || priority + 1 < lowest ? priority + 1 : lowest;
            _store(id, word - (amount << 8) - lowest + next);
        }
    }

    /// @notice Reads a participant's position and forgets it.
    /// @return isOpen False if there is none, or if it was taken already.
    /// @return position Positive receives.
    /// @return lowest One more than the lowest priority that it pays, or zero.
    function take(uint256 id) internal returns (bool isOpen, int256 position, uint256 lowest) {
        uint256 word = _load(id);
        if (word == 0) return (false, 0, 0);
        _store(id, 0);
        return (true, int256(word) >> 8, word & 0xff);
    }

    function _load(uint256 id) private view returns (uint256 word) {
        assembly ("memory-safe") {
            word := tload(id)
        }
    }

    function _store(uint256 id, uint256 word) private {
        assembly ("memory-safe") {
            tstore(id, word)
        }
    }
}
