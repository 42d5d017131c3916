// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.30;

import {IAdministration} from "./IAdministration.sol";
import {IAuthorizations} from "./IAuthorizations.sol";
import {IDelayedUpgrade} from "./IDelayedUpgrade.sol";
import {IOrders} from "./IOrders.sol";
import {IPayments} from "./IPayments.sol";
import {IRoles} from "./IRoles.sol";

/// @title DigitalCurrency
/// @notice A central bank's digital currency, distributed by participant banks: everything that its address answers.
/// What moves money by its holder's call or signature is in the contract DigitalCurrency; what roles and participants
/// administer is in the contract Administration, to which it delegates. Both work on the storage of the one proxy, and an
/// upgrade replaces them together: the address of Administration is part of DigitalCurrency's code.
// solhint-disable-next-line no-empty-blocks
interface IDigitalCurrency is IPayments, IAuthorizations, IAdministration, IOrders, IRoles, IDelayedUpgrade {}
