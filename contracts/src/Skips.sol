// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.30;

/// @title What a batch skipped, gathered for one event
/// @dev Nothing is allocated until something is skipped: most batches skip nothing, and memory is paid for.
struct Skips {
    bytes bitmap;
    bytes reasons;
    uint256 count;
}

using {add, trimmedReasons} for Skips global;

/// @param index Of the record; later records have higher ones.
/// @param records How many the batch has, the same each time.
function add(Skips memory skips, uint256 index, uint256 reason, uint256 records) pure {
    if (skips.count == 0) (skips.bitmap, skips.reasons) = (new bytes((records + 7) / 8), new bytes(records));
    skips.bitmap[index / 8] |= bytes1(uint8(1 << (index % 8)));
    skips.reasons[skips.count++] = bytes1(uint8(reason));
}

/// @dev Shortens the reasons in place: nothing may be added afterwards.
function trimmedReasons(Skips memory skips) pure returns (bytes memory reasons) {
    reasons = skips.reasons;
    uint256 length = skips.count;
    assembly ("memory-safe") {
        mstore(reasons, length)
    }
}
