// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.30;

/// @title Calls of a token, gathered into one transaction
/// @notice What somebody would deploy who settles many signed payments of a token that has no batch of its own. Part of
/// the gas bench and of nothing else: whoever calls it can spend what was approved to it.
contract PaymentBatch {
    error CallFailed(uint256 index);

    function execute(address token, bytes[] calldata calls) external {
        for (uint256 i; i < calls.length; ++i) {
            // solhint-disable-next-line avoid-low-level-calls
            (bool isDone,) = token.call(calls[i]);
            if (!isDone) revert CallFailed(i);
        }
    }
}
