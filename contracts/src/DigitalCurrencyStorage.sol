// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.30;

struct Participant {
    address institution;
    uint256 tierMask;
    uint256 mintAllowance;
}

/// @dev `used` is what is held under the order and what was moved under it, in minor units.
struct Order {
    address authority;
    uint96 cap;
    uint96 used;
    uint64 expiry;
    bool isRevoked;
}

/// @dev What all orders together do to an account.
struct Restriction {
    uint96 held;
    uint32 freezes;
}

/// @dev What one order does to one account.
struct OrderUse {
    uint96 held;
    bool isFrozen;
}

/// @dev Append only: an upgrade may add members at the end and touch no other.
/// @custom:storage-location erc7201:florin.storage.DigitalCurrency
struct DigitalCurrencyStorage {
    mapping(address owner => uint256 word) accounts;
    mapping(address owner => mapping(address spender => uint256)) allowances;
    mapping(uint256 id => Participant) participants;
    uint256[256] tiers;
    uint256 totalSupply;
    bytes32 nameHash;
    string name;
    string symbol;
    uint8 decimals;
    bool paused;
    mapping(address owner => uint256) permitNonces;
    mapping(address authorizer => mapping(bytes32 nonce => uint256)) authorizations;
    mapping(bytes32 id => Order) orders;
    mapping(address owner => Restriction) restrictions;
    mapping(bytes32 order => mapping(address owner => OrderUse)) orderUses;
    mapping(uint256 tier => uint256[] words) tierVersions;
    uint256 definedTiers;
    uint256 standingEpoch;
}

/// @dev keccak256(abi.encode(uint256(keccak256("florin.storage.DigitalCurrency")) - 1)) & ~bytes32(uint256(0xff))
bytes32 constant DIGITAL_CURRENCY_SLOT = 0x9dc49bc1864aff589d87547887b7eef9e5e6f06fefb080e4b56b3348da10fe00;
function digitalCurrencyStorage() pure returns (DigitalCurrencyStorage storage $) {
    bytes32 slot = DIGITAL_CURRENCY_SLOT;
    assembly ("memory-safe") {
        $.slot := slot
    }
}

/// @dev Where the word of an account is. With this and `load` and `store` a payment computes each slot once.
function accountSlot(address owner) pure returns (uint256 slot) {
    bytes32 mappingSlot = DIGITAL_CURRENCY_SLOT; // accounts is the first member
    assembly ("memory-safe") {
        mstore(0, owner)
        mstore(32, mappingSlot)
        slot := keccak256(0, 64)
    }
}

function tierSlot(uint256 id) pure returns (uint256 slot) {
    return uint256(DIGITAL_CURRENCY_SLOT) + 3 + id; // tiers is the fourth member
}

function load(uint256 slot) view returns (uint256 word) {
    assembly ("memory-safe") {
        word := sload(slot)
    }
}

function store(uint256 slot, uint256 word) {
    assembly ("memory-safe") {
        sstore(slot, word)
    }
}

/// @dev Never deployed: it makes the compiler print the layout of the namespaced structure.
contract DigitalCurrencyLayout {
    DigitalCurrencyStorage internal members;
}
