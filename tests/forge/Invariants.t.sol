// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.30;

import {Actions} from "./Actions.sol";
import {VM} from "./Vm.sol";

/// @title Random histories of everything that anybody can do; after each step every rule holds
contract InvariantsTest {
    Actions private actions;

    error RuleBroken(string rule);
    error NeverDone(string action);

    function setUp() external {
        actions = Actions(VM.deployCode("Actions.sol:Actions"));
    }

    function targetContracts() external view returns (address[] memory targets) {
        targets = new address[](1);
        targets[0] = address(actions);
    }

    /// @dev One function, for forge makes a campaign of its own for each.
    // solhint-disable-next-line func-name-mixedcase
    function invariant_every_rule_holds() external view {
        string memory rule = actions.findBrokenRule();
        if (bytes(rule).length != 0) revert RuleBroken(rule);
    }
}
