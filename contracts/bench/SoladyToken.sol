// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.30;

import {ERC20} from "solady/src/tokens/ERC20.sol";

/// @notice Solady's token, which has permit, as the gas bench deploys it.
contract SoladyToken is ERC20 {
    constructor(uint256 supply) {
        _mint(msg.sender, supply);
    }

    function name() public pure override returns (string memory) {
        return "Peer";
    }

    function symbol() public pure override returns (string memory) {
        return "PEER";
    }

    function _constantNameHash() internal pure override returns (bytes32) {
        return keccak256("Peer");
    }
}
