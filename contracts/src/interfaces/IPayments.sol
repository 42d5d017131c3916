// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.30;

import {IERC20} from "@openzeppelin/contracts/token/ERC20/IERC20.sol";

/// @title Payments
/// @notice ERC-20 and the packed batches of signed payments. Amounts are integers in minor units;
/// `decimals` is the currency's own ISO 4217 exponent.
///
/// Deviations from ERC-20 that an integrator must know:
/// - only registered accounts hold the currency, and every payment passes the rules listed at `settle`;
/// - a payment of zero and a payment to oneself are refused;
/// - what the payee may not hold flows on to the payee's bank in the same transaction (`Waterfall`), so a payee can end
///   with less than the amount of the `Transfer`. No amount is ever changed without the events that say so.
///
/// The codes beside the reasons at `settle` are the numbers of `Skipped`; the words are the same as the custom errors
/// of the single path.
interface IPayments is IERC20 {
    // ------------------------------------------------------------------------------------------------ types

    /// @notice An account word, decoded (see AccountWord).
    /// @param nonce The lowest nonce that a packed payment of this account may still use.
    /// @param spentToday What it paid on `day` (days since 1970-01-01 UTC, 16 bits); stale when `day` is past.
    struct Account {
        uint96 balance;
        uint32 nonce;
        uint64 spentToday;
        uint16 day;
        uint16 participant;
        uint8 tier;
        uint24 flags;
    }

    // ------------------------------------------------------------------------------------------------ events

    /// @notice `payee` could not hold `excess`, and it flowed on to its bank's account. Follows the two Transfers:
    /// payer to payee with the full amount, payee to bank with the excess.
    event Waterfall(address indexed payee, address indexed bank, uint256 excess);

    /// @notice The last log of every batch.
    event BatchSettled(uint16 indexed participant, uint256 records, uint256 executed);

    /// @notice Emitted just before BatchSettled when something was skipped. Bit i of the bitmap, least significant
    /// first in byte i / 8, tells that record i was skipped; `reasons` has one byte for each skipped record, in order.
    event Skipped(bytes bitmap, bytes reasons);

    // ------------------------------------------------------------------------------------------------ errors

    error CurrencyPaused();
    error BatchExpired(uint64 validBefore, uint256 blockTime);
    error MalformedBatch(uint256 length);
    error NotAParticipant(address caller);
    error ParticipantFrozen(uint256 participant);
    error ParticipantSuspended(uint256 participant);
    error BadSignature();
    error PayerNotOfParticipant(address payer, uint256 participant);
    error NonceUsed(address account, uint256 nonce, uint256 nextNonce);
    error ZeroAmount();
    error SelfPayment(address account);
    error PayerNotRegistered(address payer);
    error PayerFrozen(address payer);
    error PayerClosed(address payer);
    error PayerSuspended(address payer);
    error PayeeNotRegistered(address payee);
    error PayeeFrozen(address payee);
    error PayeeClosed(address payee);
    error PayeeSuspended(address payee);
    error PayeeIsSystem(address payee);
    error PerPaymentLimitExceeded(address payer, uint256 amount, uint256 limit);
    error DailyLimitExceeded(address payer, uint256 wouldHaveSpent, uint256 limit);
    error InsufficientBalance(address payer, uint256 balance, uint256 amount);
    error FundsHeld(address payer, uint256 available, uint256 amount);
    error HoldingLimitExceeded(address payee, uint256 excess, uint256 limit);
    error InsufficientAllowance(address spender, uint256 allowance, uint256 amount);
    error ZeroAddress();

    // ------------------------------------------------------------------------------------------------ batches

    /// @notice Executes signed payments of the caller's customers (or of the caller itself: funding).
    ///
    /// A record is 93 bytes: payee 20 | amount 5 | nonce 4 | r 32 | vs 32 (EIP-2098). The payer is recovered from the
    /// EIP-712 signature of Payment(address payee,uint256 amount,uint256 nonce,uint256 validBefore) under the domain
    /// {name: the token's, version: "1", chainId, verifyingContract}.
    ///
    /// A record executes if its nonce is at least the account's; the account's nonce is then one more than the record's.
    /// Gaps are allowed. A bad record is skipped and reported; it never harms the others:
    /// - 1 BadSignature, 2 PayerNotOfParticipant, 3 NonceUsed (2^32 - 1 is never usable) change nothing: the signature
    ///   stays valid until its nonce is used or `validBefore` passes;
    /// - the rules consume the nonce. In the order in which they are asked: 23 ZeroAmount, 24 SelfPayment,
    ///   16 PayerFrozen, 25 PayerClosed, 27 PayerSuspended, 17 PayeeNotRegistered, 18 PayeeFrozen, 26 PayeeClosed,
    ///   28 PayeeSuspended, 29 PayeeIsSystem, 19 PerPaymentLimitExceeded, 20 DailyLimitExceeded,
    ///   21 InsufficientBalance, 30 FundsHeld, 22 HoldingLimitExceeded.
    ///
    /// Waterfall: the payee keeps min(room, amount) and its bank receives the rest, exempt from limits. That needs a
    /// LINKED payee, a bank account in good standing, and a payer and payee that are neither INSTITUTION nor SYSTEM; else
    /// a payment above the holding limit is refused.
    ///
    /// Each payment is told by a Transfer. In a deployment with the batch event (`emitsTransfers` is false) it is not: the
    /// records of the call are the payments, all but those that Skipped names, and a waterfall is its Waterfall alone.
    /// @param validBefore Seconds since 1970; executable strictly before it. It is part of every signature.
    /// @dev Reverts with CurrencyPaused, BatchExpired, NotAParticipant, ParticipantFrozen, ParticipantSuspended,
    /// MalformedBatch (no record, or bytes missing or left over).
    function settle(bytes calldata records, uint64 validBefore) external;

    /// @notice The same payments grouped by payee, which is cheaper when payees repeat: for each group the payee 20 and a
    /// count 2, then so many records amount 5 | nonce 4 | r 32 | vs 32. A head of zeros ends the groups; flat records, as of
    /// `settle`, may follow it: a payee alone costs less there. Records are numbered over all groups and on.
    /// @dev Reverts as settle; a payee without records is malformed.
    function settleGrouped(bytes calldata groups, uint64 validBefore) external;

    /// @notice Executes payments of one payer to many payees, all under one signature of FanOut(bytes payments,uint256
    /// nonce,uint256 validBefore): salaries, subsidies. Each entry of `payments` is payee 20 | amount 5. An entry that a
    /// rule refuses is skipped and reported; the others execute. The nonce is consumed.
    /// @dev Reverts as settle, and with BadSignature, PayerNotOfParticipant, NonceUsed.
    function settleFanOut(bytes calldata payments, uint32 nonce, uint64 validBefore, bytes32 r, bytes32 vs) external;

    // ------------------------------------------------------------------------------------------------ views

    function account(address owner) external view returns (Account memory);

    function paused() external view returns (bool);

    /// @notice Whether Transfers tell of the payments of a batch: chosen with the implementation (DigitalCurrency, or
    /// DigitalCurrencyWithBatchEvents).
    function emitsTransfers() external pure returns (bool);
}
