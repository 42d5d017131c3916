// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.30;

import {Actions} from "./Actions.sol";
import {VM} from "./Vm.sol";

/// @title Random histories of everything that anybody can do; after each step every rule holds
contract InvariantsTest {
    uint256 private constant STEPS = 4_000;

    Actions private actions;

    error RuleBroken(string rule);
    error NeverDone(bytes4 action);
    error ActionReverted(bytes4 action);

    function setUp() external {
        actions = Actions(VM.deployCode("Actions.sol:Actions"));
    }

    function targetContracts() external view returns (address[] memory targets) {
        targets = new address[](1);
        targets[0] = address(actions);
    }

    /// @dev One function, for forge makes a campaign of its own for each.
    function invariant_every_rule_holds() external view {
        string memory rule = actions.broken();
        if (bytes(rule).length != 0) revert RuleBroken(rule);
    }

    /// @dev Doing nothing keeps every rule, too: so in a long history every action must have done something.
    function test_every_action_is_done_some_time() external {
        bytes4[] memory all = _all();
        for (uint256 i; i < STEPS; ++i) {
            uint256 seed = uint256(keccak256(abi.encode(i)));
            bytes memory seeds = abi.encode(seed >> 32, seed >> 96, seed >> 160, seed >> 192);
            (bool isDone,) = address(actions).call(bytes.concat(all[seed % all.length], seeds));
            if (!isDone) revert ActionReverted(all[seed % all.length]);
            string memory rule = actions.broken();
            if (bytes(rule).length != 0) revert RuleBroken(rule);
        }
        for (uint256 i; i < all.length; ++i) {
            if (actions.successes(all[i]) == 0) revert NeverDone(all[i]);
        }
    }

    function _all() private pure returns (bytes4[] memory all) {
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
