// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.30;

import {IERC20} from "@openzeppelin/contracts/token/ERC20/IERC20.sol";

import {AccountWord} from "./AccountWord.sol";
import {DigitalCurrencyStorage, digitalCurrencyStorage} from "./DigitalCurrencyStorage.sol";
import {ISSUER, RoleChecks} from "./Roles.sol";
import {Standing} from "./Standing.sol";
import {TierWord} from "./TierWord.sol";
import {IAdministration} from "./interfaces/IAdministration.sol";
import {IPayments} from "./interfaces/IPayments.sol";

/// @title How much there is of the currency
abstract contract Issuance is IAdministration, RoleChecks, Standing {
    using AccountWord for uint256;
    using TierWord for uint256;

    function increaseMintAllowance(uint16 id, uint256 amount) external onlyRole(ISSUER) {
        DigitalCurrencyStorage storage $ = digitalCurrencyStorage();
        if ($.participants[id].institution == address(0)) revert UnknownParticipant(id);
        uint256 allowed = $.participants[id].mintAllowance;
        _setMintAllowance($, id, allowed, allowed + amount);
    }

    function decreaseMintAllowance(uint16 id, uint256 amount) external onlyRole(ISSUER) {
        DigitalCurrencyStorage storage $ = digitalCurrencyStorage();
        uint256 allowed = $.participants[id].mintAllowance;
        if (amount > allowed) revert MintAllowanceExceeded(id, allowed, amount);
        _setMintAllowance($, id, allowed, allowed - amount);
    }

    function mint(uint256 amount) external whenNotPaused {
        DigitalCurrencyStorage storage $ = digitalCurrencyStorage();
        uint256 word = _requireParticipant();
        uint256 id = word.participant();
        uint256 allowed = $.participants[id].mintAllowance;
        uint256 supply = $.totalSupply;
        uint256 limit = $.tiers[word.tier()].holdingLimit();
        if (amount == 0) revert IPayments.ZeroAmount();
        if (amount > allowed) revert MintAllowanceExceeded(id, allowed, amount);
        if (amount > type(uint96).max - supply) revert SupplyLimitExceeded(supply, amount);
        uint256 held = word.balance() + amount;
        if (held > limit) revert IPayments.HoldingLimitExceeded(msg.sender, held - limit, limit);

        _setMintAllowance($, uint16(id), allowed, allowed - amount);
        $.totalSupply = supply + amount;
        $.accounts[msg.sender] = word + amount;
        emit IERC20.Transfer(address(0), msg.sender, amount);
    }

    function burn(uint256 amount) external whenNotPaused {
        DigitalCurrencyStorage storage $ = digitalCurrencyStorage();
        uint256 word = _requireParticipant();
        if (amount == 0) revert IPayments.ZeroAmount();
        if (amount > word.balance()) revert IPayments.InsufficientBalance(msg.sender, word.balance(), amount);
        uint256 available = _available(msg.sender, word);
        if (amount > available) revert IPayments.FundsHeld(msg.sender, available, amount);

        $.totalSupply -= amount;
        $.accounts[msg.sender] = word - amount;
        emit IERC20.Transfer(msg.sender, address(0), amount);
    }

    function mintAllowance(uint16 id) external view returns (uint256) {
        return digitalCurrencyStorage().participants[id].mintAllowance;
    }

    function _setMintAllowance(DigitalCurrencyStorage storage $, uint16 id, uint256 previous, uint256 allowed) private {
        $.participants[id].mintAllowance = allowed;
        emit MintAllowanceChanged(id, previous, allowed);
    }
}
