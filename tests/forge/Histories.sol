// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.30;

import {Rules} from "./Rules.sol";
import {VM} from "./Vm.sol";

/// @title Random histories of one contract's actions; after each step every rule holds
abstract contract Histories {
    Rules private actions;

    error RuleBroken(string rule);
    error NeverDone(bytes4 action);
    error NeverRefused(bytes4 expected);
    error ActionReverted(bytes4 action);

    function setUp() external {
        actions = Rules(VM.deployCode(_artifact()));
    }

    function targetContracts() external view returns (address[] memory targets) {
        targets = new address[](1);
        targets[0] = address(actions);
    }

    /// @dev One function, for forge makes a campaign of its own for each.
    function invariant_every_rule_holds() external view {
        _requireUnbroken();
    }

    /// @dev Doing nothing keeps every rule, too: so in a long history every action must have done something, and every
    /// refusal must have been met.
    function test_every_action_is_done_some_time() external {
        bytes4[] memory all = _all();
        uint256 steps = _steps();
        for (uint256 i; i < steps; ++i) {
            uint256 seed = uint256(keccak256(abi.encode(i)));
            bytes memory seeds = abi.encode(seed >> 32, seed >> 96, seed >> 160, seed >> 192);
            (bool isDone,) = address(actions).call(bytes.concat(all[seed % all.length], seeds));
            if (!isDone) revert ActionReverted(all[seed % all.length]);
            _requireUnbroken();
        }
        for (uint256 i; i < all.length; ++i) {
            if (actions.successes(all[i]) == 0) revert NeverDone(all[i]);
        }
        bytes4[] memory errors = _errors();
        for (uint256 i; i < errors.length; ++i) {
            if (actions.refusals(errors[i]) == 0) revert NeverRefused(errors[i]);
        }
    }

    function _requireUnbroken() private view {
        string memory rule = actions.broken();
        if (bytes(rule).length != 0) revert RuleBroken(rule);
    }

    /// @return Where forge finds the contract whose functions are the actions.
    function _artifact() internal pure virtual returns (string memory);

    function _steps() internal pure virtual returns (uint256);

    function _all() internal pure virtual returns (bytes4[] memory);

    /// @return What the actions must have been told some time.
    function _errors() internal pure virtual returns (bytes4[] memory);
}
