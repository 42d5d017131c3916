// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.30;

import {Actions} from "./Actions.sol";
import {Histories} from "./Histories.sol";

/// @title Everything that anybody can do to the currency
contract InvariantsTest is Histories {
    function _artifact() internal pure override returns (string memory) {
        return "Actions.sol:Actions";
    }

    function _steps() internal pure override returns (uint256) {
        return 4_000;
    }

    function _errors() internal pure override returns (bytes4[] memory) {
        return new bytes4[](0);
    }

    function _all() internal pure override returns (bytes4[] memory all) {
        all = new bytes4[](28);
        all[0] = Actions.transfer.selector;
        all[1] = Actions.approve.selector;
        all[2] = Actions.transferFrom.selector;
        all[3] = Actions.mint.selector;
        all[4] = Actions.burn.selector;
        all[5] = Actions.register.selector;
        all[6] = Actions.settle.selector;
        all[7] = Actions.replay.selector;
        all[8] = Actions.setTier.selector;
        all[9] = Actions.setParticipant.selector;
        all[10] = Actions.increaseMintAllowance.selector;
        all[11] = Actions.decreaseMintAllowance.selector;
        all[12] = Actions.pause.selector;
        all[13] = Actions.unpause.selector;
        all[14] = Actions.freeze.selector;
        all[15] = Actions.upgrade.selector;
        all[16] = Actions.wait.selector;
        all[17] = Actions.attack.selector;
        all[18] = Actions.suspendParticipant.selector;
        all[19] = Actions.reinstateParticipant.selector;
        all[20] = Actions.unfreeze.selector;
        all[21] = Actions.hold.selector;
        all[22] = Actions.release.selector;
        all[23] = Actions.forceTransfer.selector;
        all[24] = Actions.settleGrouped.selector;
        all[25] = Actions.settleFanOut.selector;
        all[26] = Actions.moveAccount.selector;
        all[27] = Actions.transferWithAuthorization.selector;
    }
}
