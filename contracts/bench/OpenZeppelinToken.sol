// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.30;

import {ERC20} from "@openzeppelin/contracts/token/ERC20/ERC20.sol";
import {ERC20Permit} from "@openzeppelin/contracts/token/ERC20/extensions/ERC20Permit.sol";

/// @notice OpenZeppelin's token with permit, as the gas bench deploys it.
contract OpenZeppelinToken is ERC20Permit {
    constructor(uint256 supply) ERC20("Peer", "PEER") ERC20Permit("Peer") {
        _mint(msg.sender, supply);
    }
}
