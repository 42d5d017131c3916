// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.30;

import {NetCycles, OPERATOR} from "./NetCycles.sol";
import {PaymentQueue} from "./PaymentQueue.sol";
import {SettlementAccounts} from "./SettlementAccounts.sol";

contract Settlement is PaymentQueue, NetCycles {
    constructor(address currency_, address operator) SettlementAccounts(currency_) {
        _setRole(OPERATOR, operator);
    }
}
