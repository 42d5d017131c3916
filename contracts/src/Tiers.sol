// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.30;

import {DigitalCurrencyStorage, digitalCurrencyStorage} from "./DigitalCurrencyStorage.sol";
import {GOVERNOR, PAUSER, RoleChecks} from "./Roles.sol";
import {Standing} from "./Standing.sol";
import {TierWord} from "./TierWord.sol";
import {IAdministration} from "./interfaces/IAdministration.sol";

/// @title The table of tiers, its history, and the mark of a pause in it
abstract contract Tiers is IAdministration, RoleChecks, Standing {
    using TierWord for uint256;

    function setTier(uint8 id, uint96 holdingLimit, uint64 perPaymentLimit, uint64 dailyLimit)
        external
        onlyRole(GOVERNOR)
    {
        if (perPaymentLimit > holdingLimit) {
            revert PerPaymentAboveHoldingLimit(perPaymentLimit, holdingLimit);
        }
        DigitalCurrencyStorage storage $ = digitalCurrencyStorage();
        uint256 word = TierWord.pack(holdingLimit, perPaymentLimit, dailyLimit, block.timestamp);

        $.tiers[id] = $.paused ? word | TierWord.PAUSED : word & ~TierWord.PAUSED;
        $.definedTiers |= 1 << id;
        $.tierVersions[id].push(word);
        emit TierSet(id, holdingLimit, perPaymentLimit, dailyLimit);
    }

    function pause() external whenNotPaused onlyRole(PAUSER) {
        _setPaused(true);
        emit Paused(msg.sender);
    }

    function unpause() external onlyRole(PAUSER) {
        if (!digitalCurrencyStorage().paused) revert NotPaused();
        _setPaused(false);
        emit Unpaused(msg.sender);
    }

    function tier(uint8 id)
        external
        view
        returns (uint96 holdingLimit, uint64 perPaymentLimit, uint64 dailyLimit)
    {
        uint256 word = digitalCurrencyStorage().tiers[id];
        return (uint96(word.holdingLimit()), uint64(word.perPaymentLimit()), uint64(word.dailyLimit()));
    }

    function tierVersions(uint8 id) external view returns (TierVersion[] memory found) {
        uint256[] storage words = digitalCurrencyStorage().tierVersions[id];
        found = new TierVersion[](words.length);
        for (uint256 i; i < found.length; ++i) {
            uint256 word = words[i];
            found[i] = TierVersion({
                since: uint64(word.since()),
                holdingLimit: uint96(word.holdingLimit()),
                perPaymentLimit: uint64(word.perPaymentLimit()),
                dailyLimit: uint64(word.dailyLimit())
            });
        }
    }

    function _setPaused(bool isPaused) private {
        DigitalCurrencyStorage storage $ = digitalCurrencyStorage();
        uint256 defined = $.definedTiers;
        for (uint256 id; defined != 0; ++id) {
            if (defined & 1 != 0) $.tiers[id] = $.tiers[id] & ~TierWord.PAUSED | (isPaused ? TierWord.PAUSED : 0);
            defined >>= 1;
        }
        $.paused = isPaused;
    }
}
