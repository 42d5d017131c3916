// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.30;

import {ERC20} from "solmate/src/tokens/ERC20.sol";

/// @notice Solmate's token, which has permit, as the gas bench deploys it.
contract SolmateToken is ERC20 {
    constructor(uint256 supply) ERC20("Peer", "PEER", 2) {
        _mint(msg.sender, supply);
    }
}
