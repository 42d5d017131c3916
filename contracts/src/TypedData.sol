// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.30;

bytes32 constant DOMAIN_TYPEHASH =
    keccak256("EIP712Domain(string name,string version,uint256 chainId,address verifyingContract)");
bytes32 constant VERSION_HASH = keccak256("1");

/// @dev keccak256(abi.encode(DOMAIN_TYPEHASH, nameHash, VERSION_HASH, block.chainid, address(this))): EIP-712
/// §domainSeparator, without a copy in memory that stays.
function domainSeparator(bytes32 nameHash) view returns (bytes32 separator) {
    bytes32 typehash = DOMAIN_TYPEHASH;
    bytes32 versionHash = VERSION_HASH;
    assembly ("memory-safe") {
        let free := mload(0x40)
        mstore(free, typehash)
        mstore(add(free, 0x20), nameHash)
        mstore(add(free, 0x40), versionHash)
        mstore(add(free, 0x60), chainid())
        mstore(add(free, 0x80), address())
        separator := keccak256(free, 0xa0)
    }
}

/// @dev The hash of a struct whose members are the first arguments of this call, one word each: keccak256(typehash |
/// calldata). The decoder of the arguments has refused words that hold more than their type.
function hashOfArguments(bytes32 typehash, uint256 members) pure returns (bytes32 content) {
    assembly ("memory-safe") {
        let free := mload(0x40)
        mstore(free, typehash)
        calldatacopy(add(free, 0x20), 4, shl(5, members))
        content := keccak256(free, add(0x20, shl(5, members)))
    }
}
