// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.30;

/// @title What a history remembers of its steps
abstract contract Rules {
    /// @notice The first rule that was broken.
    string public broken;
    /// @notice How often an action did what it tried.
    mapping(bytes4 action => uint256) public successes;
    /// @notice How often an error was the answer, where that is counted.
    mapping(bytes4 error => uint256) public refusals;

    function _break(string memory rule) internal {
        if (bytes(broken).length == 0) broken = rule;
    }

    function _count(bool isDone) internal returns (bool) {
        if (isDone) ++successes[msg.sig];
        return isDone;
    }
}
