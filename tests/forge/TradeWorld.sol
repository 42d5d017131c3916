// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.30;

import {ERC20} from "@openzeppelin/contracts/token/ERC20/ERC20.sol";
import {IERC20} from "@openzeppelin/contracts/token/ERC20/IERC20.sol";

import {IDigitalCurrency} from "../../contracts/src/interfaces/IDigitalCurrency.sol";
import {ITrades} from "../../contracts/src/interfaces/ITrades.sol";
import {VM} from "./Vm.sol";
import {World} from "./World.sol";

/// @title A security that keeps a fee of each transfer, if its issuer says so
contract Security is ERC20("Government bond 2031", "BOND") {
    address private immutable ISSUER = msg.sender;
    uint256 private fee;

    function issue(address owner, uint256 amount) external {
        require(msg.sender == ISSUER, "the issuer's alone");
        _mint(owner, amount);
    }

    function setFee(uint256 next) external {
        require(msg.sender == ISSUER, "the issuer's alone");
        fee = next;
    }

    function _update(address from, address to, uint256 amount) internal override {
        bool isFeeDue = from != address(0) && to != address(0) && amount > fee;
        super._update(from, to, isFeeDue ? amount - fee : amount);
        if (isFeeDue) super._update(from, ISSUER, fee);
    }
}

/// @title Another central bank's currency, of the same people
contract ForeignCurrency is World {
    function token() external view returns (IDigitalCurrency) {
        return currency;
    }
}

/// @title Would all legs arrive whole, alone and in their order?
contract Rehearsal {
    error Rehearsed(bool isWhole);

    /// @dev Always reverts, so that nothing of it stays.
    function rehearse(address spender, ITrades.Leg[] calldata legs) external {
        bool isWhole = true;
        for (uint256 i; i < legs.length && isWhole; ++i) {
            isWhole = _pay(spender, legs[i]);
        }
        revert Rehearsed(isWhole);
    }

    function _pay(address spender, ITrades.Leg calldata leg) private returns (bool) {
        IERC20 token = IERC20(leg.token);
        uint256 before = token.balanceOf(leg.payee);
        VM.prank(spender);
        (bool isDone,) = leg.token.call(abi.encodeCall(IERC20.transferFrom, (leg.payer, leg.payee, leg.amount)));
        return isDone && token.balanceOf(leg.payee) == before + leg.amount;
    }
}
