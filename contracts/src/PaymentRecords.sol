// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.30;

/// @title The packed payments of a batch
/// @notice Reads 93-byte records straight from calldata and recovers who signed them, in one frame of memory that every
/// record reuses: memory that grows with the batch makes 500 payments dearer than 100.
library PaymentRecords {
    uint256 internal constant RECORD_BYTES = 93;

    bytes32 internal constant DOMAIN_TYPEHASH =
        keccak256("EIP712Domain(string name,string version,uint256 chainId,address verifyingContract)");
    bytes32 internal constant VERSION_HASH = keccak256("1");
    bytes32 internal constant PAYMENT_TYPEHASH =
        keccak256("Payment(address payee,uint256 amount,uint256 nonce,uint256 validBefore)");

    /// @dev Half the order of secp256k1: a higher s is the malleable twin of a valid signature.
    uint256 private constant HALF_ORDER = 0x7fffffffffffffffffffffffffffffff5d576e7357a4501ddfe92f46681b20a0;

    function domainSeparator(bytes32 nameHash) internal view returns (bytes32) {
        return keccak256(abi.encode(DOMAIN_TYPEHASH, nameHash, VERSION_HASH, block.chainid, address(this)));
    }

    /// @return records_ The number of records, or zero if the bytes are not whole records.
    function count(bytes calldata records) internal pure returns (uint256 records_) {
        return records.length % RECORD_BYTES == 0 ? records.length / RECORD_BYTES : 0;
    }

    /// @return record Where record `i` starts in calldata.
    function locate(bytes calldata records, uint256 i) internal pure returns (uint256 record) {
        assembly ("memory-safe") {
            record := add(records.offset, mul(i, RECORD_BYTES))
        }
    }

    /// @dev The frame: the five words of the struct hash (0), then 0x1901 | domain separator | struct hash with its two
    /// leading bytes at the end of a word (160 to 256), then the input of ecrecover (256). What is the same for the whole
    /// batch is written here.
    function open(bytes32 separator, uint256 validBefore) internal pure returns (uint256 frame) {
        bytes32 typehash = PAYMENT_TYPEHASH;
        assembly ("memory-safe") {
            frame := mload(0x40)
            mstore(0x40, add(frame, 384))
            mstore(frame, typehash)
            mstore(add(frame, 128), validBefore)
            mstore(add(frame, 160), 0x1901)
            mstore(add(frame, 192), separator)
        }
    }

    /// @return payer Who signed, or zero.
    /// @return payee Who is paid.
    /// @return amount In minor units.
    /// @return next The account's nonce after this record: zero for the last nonce, which is therefore never usable.
    function recover(uint256 record, uint256 frame)
        internal
        view
        returns (address payer, address payee, uint256 amount, uint256 next)
    {
        assembly ("memory-safe") {
            let head := calldataload(record)
            payee := shr(96, head)
            amount := and(shr(56, head), 0xffffffffff)
            next := and(shr(24, head), 0xffffffff)
            mstore(add(frame, 32), payee)
            mstore(add(frame, 64), amount)
            mstore(add(frame, 96), next)
            next := and(add(next, 1), 0xffffffff)
            mstore(add(frame, 224), keccak256(frame, 160))
            mstore(add(frame, 256), keccak256(add(frame, 190), 66))
            let vs := calldataload(add(record, 61))
            let s := shr(1, shl(1, vs))
            mstore(add(frame, 288), add(27, shr(255, vs)))
            mstore(add(frame, 320), calldataload(add(record, 29)))
            mstore(add(frame, 352), s)
            // A failed ecrecover returns nothing and leaves the last signer at 0: only returndatasize tells.
            pop(staticcall(gas(), 1, add(frame, 256), 128, 0, 32))
            payer := mul(mload(0), and(eq(returndatasize(), 32), iszero(gt(s, HALF_ORDER))))
        }
    }
}
