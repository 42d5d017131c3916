// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.30;

import {Initializable} from "@openzeppelin/contracts/proxy/utils/Initializable.sol";

import {AccountWord} from "./AccountWord.sol";
import {UpgradeProposals, delayedUpgradeStorage} from "./DelayedUpgrade.sol";
import {DigitalCurrencyStorage, Participant, digitalCurrencyStorage} from "./DigitalCurrencyStorage.sol";
import {Issuance} from "./Issuance.sol";
import {Memberships} from "./Memberships.sol";
import {Orders} from "./Orders.sol";
import {GOVERNOR, ISSUER, PAUSER, REGISTRAR, Roles, SUPERVISOR, UPGRADER} from "./Roles.sol";
import {Tiers} from "./Tiers.sol";

/// @title The half of the currency that roles and participants administer
/// @notice DigitalCurrency delegates to it what it does not answer itself. Called directly it has no roles and no state.
contract Administration is Memberships, Tiers, Issuance, Orders, Roles, UpgradeProposals, Initializable {
    using AccountWord for uint256;

    constructor() {
        _disableInitializers();
    }

    function initialize(Init calldata init) external initializer {
        DigitalCurrencyStorage storage $ = digitalCurrencyStorage();
        $.name = init.name;
        $.symbol = init.symbol;
        $.decimals = init.decimals;
        $.nameHash = keccak256(bytes(init.name));
        _setRole(GOVERNOR, init.governor);
        _setRole(ISSUER, init.issuer);
        _setRole(PAUSER, init.pauser);
        _setRole(UPGRADER, init.upgrader);
        _setRole(SUPERVISOR, init.supervisor);
        _setRole(REGISTRAR, init.registrar);
        delayedUpgradeStorage().delay = init.upgradeDelay;
    }

    function name() external view returns (string memory) {
        return digitalCurrencyStorage().name;
    }

    function symbol() external view returns (string memory) {
        return digitalCurrencyStorage().symbol;
    }

    function decimals() external view returns (uint8) {
        return digitalCurrencyStorage().decimals;
    }

    function accountWords(address[] calldata owners) external view returns (uint256[] memory words) {
        words = new uint256[](owners.length);
        for (uint256 i; i < owners.length; ++i) {
            words[i] = digitalCurrencyStorage().accounts[owners[i]];
        }
    }

    function standingEpoch() external view returns (uint256) {
        return digitalCurrencyStorage().standingEpoch;
    }

    function participant(uint16 id)
        external
        view
        returns (address institution, uint8 institutionTier, uint256 tierMask)
    {
        DigitalCurrencyStorage storage $ = digitalCurrencyStorage();
        Participant storage found = $.participants[id];
        return (found.institution, uint8($.accounts[found.institution].tier()), found.tierMask);
    }
}
