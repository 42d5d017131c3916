// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.30;

import {ERC1967Proxy} from "@openzeppelin/contracts/proxy/ERC1967/ERC1967Proxy.sol";

import {AccountWord} from "../../contracts/src/AccountWord.sol";
import {accountSlot, tierSlot} from "../../contracts/src/DigitalCurrencyStorage.sol";
import {TierWord} from "../../contracts/src/TierWord.sol";
import {IAdministration} from "../../contracts/src/interfaces/IAdministration.sol";
import {IDigitalCurrency} from "../../contracts/src/interfaces/IDigitalCurrency.sol";
import {VM} from "./Vm.sol";

/// @title A currency behind its proxy, with two banks and their customers, whose keys the tests hold
/// @notice Whoever may ever hold money is in `people`: the invariants add up their balances.
abstract contract World {
    using AccountWord for uint256;

    address internal constant GOVERNOR = address(0xA1);
    address internal constant ISSUER = address(0xA2);
    address internal constant PAUSER = address(0xA3);
    address internal constant UPGRADER = address(0xA4);
    address internal constant SUPERVISOR = address(0xA5);
    address internal constant REGISTRAR = address(0xA6);
    address internal constant AUTHORITY = address(0xA7);
    bytes32 internal constant ORDER = keccak256("an order's document");
    string internal constant NAME = "Czech koruna";
    uint32 internal constant UPGRADE_DELAY = 2 days;

    uint8 internal constant INSTITUTIONS_TIER = 0;
    uint8 internal constant RETAIL_TIER = 1;
    uint8 internal constant MERCHANT_TIER = 2;
    uint256 internal constant GRANTED_TIERS = 6; // retail and merchant
    uint24 internal constant LINKED = uint24(AccountWord.LINKED >> 232);
    uint256 internal constant OPENING_SUPPLY = 10_000_000;
    uint256 internal constant PEOPLE = 12;
    uint16 internal constant PARTICIPANTS = 2;

    bytes32 private constant PAYMENT_TYPEHASH =
        keccak256("Payment(address payee,uint256 amount,uint256 nonce,uint256 validBefore)");

    IDigitalCurrency internal currency;
    /// @dev 0 and 1 are banks, 2 to 7 their customers in turn, 8 and 9 unregistered, 10 the attacker, 11 a stranger.
    address[] internal people;
    mapping(address person => uint256 key) internal keys;

    address internal attacker;

    /// @dev What is approved, given less taken back; what was minted and burned.
    uint256 internal approved;
    uint256 internal minted;
    uint256 internal burned;

    constructor() {
        VM.warp(1_760_000_000);
        VM.recordLogs();
        for (uint256 i; i < PEOPLE; ++i) {
            uint256 key = uint256(keccak256(abi.encode("florin", i)));
            people.push(VM.addr(key));
            keys[people[i]] = key;
        }
        attacker = people[10];
        currency = IDigitalCurrency(address(new ERC1967Proxy(_deployImplementation(), _initialisation())));
        _populate();
        _registerOrder();
    }

    function _deployImplementation() internal returns (address) {
        address administration = VM.deployCode("Administration.sol:Administration");
        return VM.deployCode("DigitalCurrency.sol:DigitalCurrency", abi.encode(administration, NAME));
    }

    function _initialisation() private pure returns (bytes memory) {
        return abi.encodeCall(
            IAdministration.initialize,
            (
                IAdministration.Init({
                    name: NAME,
                    symbol: "CZK",
                    decimals: 2,
                    governor: GOVERNOR,
                    issuer: ISSUER,
                    pauser: PAUSER,
                    upgrader: UPGRADER,
                    supervisor: SUPERVISOR,
                    registrar: REGISTRAR,
                    upgradeDelay: UPGRADE_DELAY
                })
            )
        );
    }

    function _populate() private {
        uint64 unlimited = type(uint64).max;
        _require(GOVERNOR, abi.encodeCall(currency.setTier, (INSTITUTIONS_TIER, type(uint96).max, unlimited, unlimited)));
        _require(GOVERNOR, abi.encodeCall(currency.setTier, (RETAIL_TIER, 100_000, 50_000, 80_000)));
        _require(GOVERNOR, abi.encodeCall(currency.setTier, (MERCHANT_TIER, 30_000, 30_000, unlimited)));
        for (uint16 id = 1; id <= PARTICIPANTS; ++id) {
            address bank = people[id - 1];
            _require(GOVERNOR, abi.encodeCall(currency.setParticipant, (id, bank, INSTITUTIONS_TIER, GRANTED_TIERS)));
            _require(ISSUER, abi.encodeCall(currency.increaseMintAllowance, (id, 2 * OPENING_SUPPLY)));
            _require(bank, abi.encodeCall(currency.mint, (OPENING_SUPPLY)));
            approved += 2 * OPENING_SUPPLY;
            minted += OPENING_SUPPLY;
            address[] memory customers = new address[](3);
            for (uint256 i; i < 3; ++i) {
                customers[i] = people[2 * i + id + 1];
            }
            _require(bank, abi.encodeCall(currency.register, (customers, RETAIL_TIER, LINKED)));
            _require(bank, abi.encodeCall(currency.transfer, (customers[0], 60_000)));
        }
    }

    function _registerOrder() private {
        bytes memory call = abi.encodeCall(
            currency.registerOrder, (ORDER, AUTHORITY, type(uint96).max, type(uint64).max)
        );
        _require(REGISTRAR, call);
    }

    function _require(address sender, bytes memory data) private {
        require(_send(sender, data), "the world cannot be set up");
    }

    // ------------------------------------------------------------------------------------------------ acting

    /// @dev A refusal is an outcome: the EVM has undone it, and the steps check that.
    function _send(address sender, bytes memory data) internal returns (bool isDone) {
        VM.prank(sender);
        (isDone,) = address(currency).call(data);
    }

    function _sign(address payer, address payee, uint256 amount, uint256 nonce, uint64 validBefore)
        internal
        view
        returns (bytes memory record)
    {
        bytes32 content = keccak256(abi.encode(PAYMENT_TYPEHASH, payee, amount, nonce, validBefore));
        (bytes32 r, bytes32 vs) = _signCompactly(payer, content);
        return abi.encodePacked(payee, uint40(amount), uint32(nonce), r, vs);
    }

    /// @dev As EIP-2098 has it.
    function _signCompactly(address signer, bytes32 content) internal view returns (bytes32 r, bytes32 vs) {
        (uint8 v, bytes32 r_, bytes32 s) = _signParts(signer, content);
        return (r_, v == 28 ? s | bytes32(uint256(1) << 255) : s);
    }

    function _signParts(address signer, bytes32 content) internal view returns (uint8 v, bytes32 r, bytes32 s) {
        return VM.sign(keys[signer], keccak256(abi.encodePacked(hex"1901", currency.DOMAIN_SEPARATOR(), content)));
    }

    // ------------------------------------------------------------------------------------------------ choosing

    function _person(uint256 seed) internal view returns (address) {
        return people[seed % PEOPLE];
    }

    function _institution(uint256 seed) internal view returns (address institution) {
        (institution,,) = currency.participant(_participant(seed));
    }

    function _participant(uint256 seed) internal pure returns (uint16) {
        return uint16(1 + seed % PARTICIPANTS);
    }

    /// @dev Mostly small; sometimes at a limit or beside it.
    function _amount(uint256 seed) internal pure returns (uint256) {
        uint24[8] memory edges = [0, 1, 29_999, 30_001, 50_000, 50_001, 99_999, 10_000_000];
        return seed % 3 == 0 ? edges[(seed / 3) % 8] : (seed / 3) % 2_000;
    }

    // ------------------------------------------------------------------------------------------------ reading

    function _word(address person) internal view returns (uint256) {
        return uint256(VM.load(address(currency), bytes32(accountSlot(person))));
    }

    function _holdingLimit(uint256 word) internal view returns (uint256) {
        return TierWord.holdingLimit(uint256(VM.load(address(currency), bytes32(tierSlot(word.tier())))));
    }
}
