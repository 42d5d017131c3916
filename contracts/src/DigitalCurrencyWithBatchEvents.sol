// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.30;

import {DigitalCurrency} from "./DigitalCurrency.sol";

/// @title The same currency, where one event tells of a whole batch
/// @notice Cheaper by a Transfer for each payment of a batch; see IPayments.settle for how to read them.
contract DigitalCurrencyWithBatchEvents is DigitalCurrency {
    constructor(address administration, string memory name) DigitalCurrency(administration, name) {}

    function _emitsTransfers() internal pure override returns (bool) {
        return false;
    }
}
