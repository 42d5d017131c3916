// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.30;

import {ITrades} from "../../contracts/src/interfaces/ITrades.sol";
import {Histories} from "./Histories.sol";
import {TradeActions} from "./TradeActions.sol";

/// @title Everything that anybody can do with trades
contract TradeInvariantsTest is Histories {
    function _artifact() internal pure override returns (string memory) {
        return "TradeActions.sol:TradeActions";
    }

    function _steps() internal pure override returns (uint256) {
        return 1_500;
    }

    function _all() internal pure override returns (bytes4[] memory all) {
        all = new bytes4[](13);
        all[0] = TradeActions.propose.selector;
        all[1] = TradeActions.affirm.selector;
        all[2] = TradeActions.execute.selector;
        all[3] = TradeActions.cancel.selector;
        all[4] = TradeActions.approve.selector;
        all[5] = TradeActions.setTier.selector;
        all[6] = TradeActions.setFee.selector;
        all[7] = TradeActions.pause.selector;
        all[8] = TradeActions.unpause.selector;
        all[9] = TradeActions.freeze.selector;
        all[10] = TradeActions.unfreeze.selector;
        all[11] = TradeActions.wait.selector;
        all[12] = TradeActions.attack.selector;
    }

    function _errors() internal pure override returns (bytes4[] memory errors) {
        errors = new bytes4[](9);
        errors[0] = ITrades.LegCount.selector;
        errors[1] = ITrades.MalformedLeg.selector;
        errors[2] = ITrades.TradeExists.selector;
        errors[3] = ITrades.TradeNotOpen.selector;
        errors[4] = ITrades.TradeExpired.selector;
        errors[5] = ITrades.NotAPayer.selector;
        errors[6] = ITrades.NotAParty.selector;
        errors[7] = ITrades.NotAffirmed.selector;
        errors[8] = ITrades.LegShort.selector;
    }
}
