// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.30;

import {AccountWord} from "./AccountWord.sol";

/// @title Why a record of a batch was skipped
/// @notice Below 16 the record changed nothing; from 16 on it consumed its nonce. The same words are custom errors of
/// IDigitalCurrency. Numbers are never reused.
library Reason {
    uint256 internal constant BAD_SIGNATURE = 1;
    uint256 internal constant PAYER_NOT_OF_PARTICIPANT = 2;
    uint256 internal constant NONCE_USED = 3;

    uint256 internal constant PAYER_FROZEN = 16;
    uint256 internal constant PAYEE_NOT_REGISTERED = 17;
    uint256 internal constant PAYEE_FROZEN = 18;
    uint256 internal constant PER_PAYMENT_LIMIT_EXCEEDED = 19;
    uint256 internal constant DAILY_LIMIT_EXCEEDED = 20;
    uint256 internal constant INSUFFICIENT_BALANCE = 21;
    uint256 internal constant HOLDING_LIMIT_EXCEEDED = 22;
    uint256 internal constant ZERO_AMOUNT = 23;
    uint256 internal constant SELF_PAYMENT = 24;
    uint256 internal constant PAYER_CLOSED = 25;
    uint256 internal constant PAYEE_CLOSED = 26;
    uint256 internal constant PAYER_SUSPENDED = 27;
    uint256 internal constant PAYEE_SUSPENDED = 28;
    uint256 internal constant PAYEE_IS_SYSTEM = 29;
    uint256 internal constant FUNDS_HELD = 30;

    /// @dev For a payer that has one of AccountWord.PAYER_REFUSED.
    function ofPayer(uint256 word) internal pure returns (uint256) {
        if (AccountWord.has(word, AccountWord.FROZEN)) return PAYER_FROZEN;
        return AccountWord.has(word, AccountWord.CLOSED) ? PAYER_CLOSED : PAYER_SUSPENDED;
    }

    /// @dev For a payee that is not in good standing.
    function ofPayee(uint256 word) internal pure returns (uint256) {
        if (!AccountWord.has(word, AccountWord.REGISTERED)) return PAYEE_NOT_REGISTERED;
        if (AccountWord.has(word, AccountWord.FROZEN)) return PAYEE_FROZEN;
        if (AccountWord.has(word, AccountWord.CLOSED)) return PAYEE_CLOSED;
        return AccountWord.has(word, AccountWord.SUSPENDED) ? PAYEE_SUSPENDED : PAYEE_IS_SYSTEM;
    }
}
