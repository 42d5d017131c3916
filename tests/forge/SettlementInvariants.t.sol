// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.30;

import {ISettlement} from "../../contracts/src/interfaces/ISettlement.sol";
import {Histories} from "./Histories.sol";
import {SettlementActions} from "./SettlementActions.sol";

/// @title Everything that anybody can do to a settlement
contract SettlementInvariantsTest is Histories {
    function _artifact() internal pure override returns (string memory) {
        return "SettlementActions.sol:SettlementActions";
    }

    function _steps() internal pure override returns (uint256) {
        return 2_000;
    }

    function _all() internal pure override returns (bytes4[] memory all) {
        all = new bytes4[](24);
        all[0] = SettlementActions.deposit.selector;
        all[1] = SettlementActions.withdraw.selector;
        all[2] = SettlementActions.setNetDebitCap.selector;
        all[3] = SettlementActions.submit.selector;
        all[4] = SettlementActions.resolve.selector;
        all[5] = SettlementActions.resolveAnything.selector;
        all[6] = SettlementActions.resolveWrongly.selector;
        all[7] = SettlementActions.hold.selector;
        all[8] = SettlementActions.resume.selector;
        all[9] = SettlementActions.reprioritise.selector;
        all[10] = SettlementActions.cancel.selector;
        all[11] = SettlementActions.expire.selector;
        all[12] = SettlementActions.settleNet.selector;
        all[13] = SettlementActions.settleGross.selector;
        all[14] = SettlementActions.settleWrongly.selector;
        all[15] = SettlementActions.suspendParticipant.selector;
        all[16] = SettlementActions.reinstateParticipant.selector;
        all[17] = SettlementActions.freeze.selector;
        all[18] = SettlementActions.unfreeze.selector;
        all[19] = SettlementActions.replaceInstitution.selector;
        all[20] = SettlementActions.pause.selector;
        all[21] = SettlementActions.wait.selector;
        all[22] = SettlementActions.attack.selector;
        all[23] = SettlementActions.unpause.selector;
    }

    function _errors() internal pure override returns (bytes4[] memory errors) {
        errors = new bytes4[](24);
        errors[0] = ISettlement.CurrencyPaused.selector;
        errors[1] = ISettlement.NotAParticipant.selector;
        errors[2] = ISettlement.ParticipantNotInStanding.selector;
        errors[3] = ISettlement.ZeroAmount.selector;
        errors[4] = ISettlement.InsufficientFunds.selector;
        errors[5] = ISettlement.NetDebitCapTooLarge.selector;
        errors[6] = ISettlement.PaymentToSelf.selector;
        errors[7] = ISettlement.PaymentIdOfAnotherParticipant.selector;
        errors[8] = ISettlement.PaymentIdUsed.selector;
        errors[9] = ISettlement.UnknownPriority.selector;
        errors[10] = ISettlement.ExpiryPassed.selector;
        errors[11] = ISettlement.ExpiryNotPassed.selector;
        errors[12] = ISettlement.NotThePayer.selector;
        errors[13] = ISettlement.PaymentNotQueued.selector;
        errors[14] = ISettlement.PaymentNotHeld.selector;
        errors[15] = ISettlement.PaymentNotWaiting.selector;
        errors[16] = ISettlement.ResolutionSize.selector;
        errors[17] = ISettlement.HigherPriorityLeftBehind.selector;
        errors[18] = ISettlement.MalformedCycle.selector;
        errors[19] = ISettlement.CycleOutOfOrder.selector;
        errors[20] = ISettlement.ParticipantsNotAscending.selector;
        errors[21] = ISettlement.PositionsUnbalanced.selector;
        errors[22] = ISettlement.NetDebitCapExceeded.selector;
        errors[23] = ISettlement.ParticipantNotListed.selector;
    }
}
