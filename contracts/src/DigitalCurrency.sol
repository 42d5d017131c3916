// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.30;

import {Proxy} from "@openzeppelin/contracts/proxy/Proxy.sol";

import {AccountWord} from "./AccountWord.sol";
import {Authorizations} from "./Authorizations.sol";
import {Batches} from "./Batches.sol";
import {DelayedUpgrade} from "./DelayedUpgrade.sol";
import {DigitalCurrencyStorage, digitalCurrencyStorage} from "./DigitalCurrencyStorage.sol";
import {IDelayedUpgrade} from "./interfaces/IDelayedUpgrade.sol";

/// @title The half of the currency that moves money by its holder's call or signature
/// @notice What it does not answer itself it delegates to Administration, in the same storage. IDigitalCurrency is the
/// whole.
contract DigitalCurrency is Batches, Authorizations, DelayedUpgrade, Proxy {
    using AccountWord for uint256;

    address private immutable ADMINISTRATION;
    /// @dev The stored hash of the name, in the code: it is part of every signature's domain.
    bytes32 private immutable NAME_HASH;

    constructor(address administration, string memory name) {
        if (administration.code.length == 0) revert IDelayedUpgrade.ImplementationWithoutCode(administration);
        ADMINISTRATION = administration;
        NAME_HASH = keccak256(bytes(name));
    }

    // ------------------------------------------------------------------------------------------------ ERC-20

    function transfer(address payee, uint256 amount) external returns (bool) {
        _transfer(msg.sender, payee, amount);
        return true;
    }

    function approve(address spender, uint256 amount) external returns (bool) {
        _approve(msg.sender, spender, amount);
        return true;
    }

    function transferFrom(address payer, address payee, uint256 amount) external returns (bool) {
        DigitalCurrencyStorage storage $ = digitalCurrencyStorage();
        uint256 allowed = $.allowances[payer][msg.sender];
        if (amount > allowed) revert InsufficientAllowance(msg.sender, allowed, amount);
        if (allowed != type(uint256).max) $.allowances[payer][msg.sender] = allowed - amount;
        _transfer(payer, payee, amount);
        return true;
    }

    function totalSupply() external view returns (uint256) {
        return digitalCurrencyStorage().totalSupply;
    }

    function balanceOf(address owner) external view returns (uint256) {
        return digitalCurrencyStorage().accounts[owner].balance();
    }

    function allowance(address owner, address spender) external view returns (uint256) {
        return digitalCurrencyStorage().allowances[owner][spender];
    }

    // ------------------------------------------------------------------------------------------------ views

    function account(address owner) external view returns (Account memory) {
        uint256 word = digitalCurrencyStorage().accounts[owner];
        return Account({
            balance: uint96(word.balance()),
            nonce: uint32(word.nonce()),
            spentToday: uint64(word.spentToday()),
            day: uint16(word.day()),
            participant: uint16(word.participant()),
            tier: uint8(word.tier()),
            flags: uint24(word.flags())
        });
    }

    function paused() external view returns (bool) {
        return digitalCurrencyStorage().paused;
    }

    function emitsTransfers() external pure returns (bool) {
        return _emitsTransfers();
    }

    // ------------------------------------------------------------------------------------------------ inside

    function _emitsTransfers() internal pure virtual override returns (bool) {
        return true;
    }

    function _nameHash() internal view override returns (bytes32) {
        return NAME_HASH;
    }

    function _implementation() internal view override returns (address) {
        return ADMINISTRATION;
    }
}
