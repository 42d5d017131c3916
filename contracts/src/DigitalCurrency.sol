// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.30;

import {Initializable} from "@openzeppelin/contracts/proxy/utils/Initializable.sol";

import {AccountWord} from "./AccountWord.sol";
import {DelayedUpgrade} from "./DelayedUpgrade.sol";
import {DigitalCurrencyStorage, Participant, digitalCurrencyStorage} from "./DigitalCurrencyStorage.sol";
import {Payments} from "./Payments.sol";
import {PlainPayments} from "./PlainPayments.sol";
import {GOVERNOR, ISSUER, PAUSER, UPGRADER} from "./Roles.sol";
import {Skips, newSkips} from "./Skips.sol";
import {TierWord} from "./TierWord.sol";

contract DigitalCurrency is Payments, Initializable, DelayedUpgrade {
    using AccountWord for uint256;
    using TierWord for uint256;

    bytes32 private constant DOMAIN_TYPEHASH =
        keccak256("EIP712Domain(string name,string version,uint256 chainId,address verifyingContract)");

    modifier whenNotPaused() {
        if (digitalCurrencyStorage().paused) revert CurrencyPaused();
        _;
    }

    constructor() {
        _disableInitializers();
    }

    function initialize(Init calldata init) external initializer {
        DigitalCurrencyStorage storage $ = digitalCurrencyStorage();
        $.name = init.name;
        $.symbol = init.symbol;
        $.decimals = init.decimals;
        $.nameHash = keccak256(bytes(init.name));
        _setRole(GOVERNOR, init.governor);
        _setRole(ISSUER, init.issuer);
        _setRole(PAUSER, init.pauser);
        _setRole(UPGRADER, init.upgrader);
        _setUpgradeDelay(init.upgradeDelay);
    }

    // ------------------------------------------------------------------------------------------------ governor

    function setParticipant(uint16 id, address institution, uint8 institutionTier, uint256 tierMask)
        external
        onlyRole(GOVERNOR)
    {
        if (id == 0) revert UnknownParticipant(id);
        if (institution == address(0)) revert ZeroAddress();
        DigitalCurrencyStorage storage $ = digitalCurrencyStorage();
        uint256 word = _requireChangeable($, institution, id);

        _retire($, id, institution);
        $.participants[id].institution = institution;
        $.participants[id].tierMask = tierMask;
        word = word.withMembership(id, institutionTier) | AccountWord.REGISTERED | AccountWord.INSTITUTION;
        _writeMembership($, institution, word);
        emit ParticipantSet(id, institution, institutionTier, tierMask);
    }

    function setTier(uint8 id, uint96 holdingLimit, uint64 perPaymentLimit, uint64 dailyLimit)
        external
        onlyRole(GOVERNOR)
    {
        if (perPaymentLimit > holdingLimit) revert PerPaymentAboveHoldingLimit(perPaymentLimit, holdingLimit);
        digitalCurrencyStorage().tiers[id] = TierWord.pack(holdingLimit, perPaymentLimit, dailyLimit);
        emit TierSet(id, holdingLimit, perPaymentLimit, dailyLimit);
    }

    // ------------------------------------------------------------------------------------------------ issuer

    function increaseMintAllowance(uint16 id, uint256 amount) external onlyRole(ISSUER) {
        DigitalCurrencyStorage storage $ = digitalCurrencyStorage();
        if ($.participants[id].institution == address(0)) revert UnknownParticipant(id);
        uint256 allowed = $.participants[id].mintAllowance;
        _setMintAllowance($, id, allowed, allowed + amount);
    }

    function decreaseMintAllowance(uint16 id, uint256 amount) external onlyRole(ISSUER) {
        DigitalCurrencyStorage storage $ = digitalCurrencyStorage();
        uint256 allowed = $.participants[id].mintAllowance;
        if (amount > allowed) revert MintAllowanceExceeded(id, allowed, amount);
        _setMintAllowance($, id, allowed, allowed - amount);
    }

    // ------------------------------------------------------------------------------------------------ participants

    function mint(uint256 amount) external whenNotPaused {
        DigitalCurrencyStorage storage $ = digitalCurrencyStorage();
        uint256 word = _requireParticipant($);
        uint256 id = word.participant();
        uint256 allowed = $.participants[id].mintAllowance;
        uint256 supply = $.totalSupply;
        uint256 limit = $.tiers[word.tier()].holdingLimit();
        if (amount == 0) revert ZeroAmount();
        if (amount > allowed) revert MintAllowanceExceeded(id, allowed, amount);
        if (amount > type(uint96).max - supply) revert SupplyLimitExceeded(supply, amount);
        uint256 held = word.balance() + amount;
        if (held > limit) revert HoldingLimitExceeded(msg.sender, held - limit, limit);

        _setMintAllowance($, uint16(id), allowed, allowed - amount);
        $.totalSupply = supply + amount;
        $.accounts[msg.sender] = word + amount;
        emit Transfer(address(0), msg.sender, amount);
    }

    function burn(uint256 amount) external whenNotPaused {
        DigitalCurrencyStorage storage $ = digitalCurrencyStorage();
        uint256 word = _requireParticipant($);
        if (amount == 0) revert ZeroAmount();
        if (amount > word.balance()) revert InsufficientBalance(msg.sender, word.balance(), amount);

        $.totalSupply -= amount;
        $.accounts[msg.sender] = word - amount;
        emit Transfer(msg.sender, address(0), amount);
    }

    function register(address[] calldata accounts, uint8 tier_, uint24 flags) external {
        DigitalCurrencyStorage storage $ = digitalCurrencyStorage();
        uint256 id = _requireParticipant($).participant();
        if (($.participants[id].tierMask >> tier_) & 1 == 0) revert TierNotGranted(id, tier_);
        uint256 flagBits = uint256(flags) << 232;
        if (flagBits & ~AccountWord.LINKED != 0) revert FlagsNotGranted(flags);

        for (uint256 i; i < accounts.length; ++i) {
            address owner = accounts[i];
            if (owner == address(0)) revert ZeroAddress();
            uint256 word = _requireChangeable($, owner, id);
            if (word.has(AccountWord.INSTITUTION)) revert AccountNotChangeable(owner);
            word = word.withMembership(id, tier_) & ~AccountWord.LINKED;
            _writeMembership($, owner, word | flagBits | AccountWord.REGISTERED);
        }
    }

    function settle(bytes calldata records, uint64 validBefore) external whenNotPaused {
        if (block.timestamp >= validBefore) revert BatchExpired(validBefore, block.timestamp);
        uint256 participant_ = _requireParticipant(digitalCurrencyStorage()).participant();
        uint256 count = records.length / PlainPayments.RECORD_BYTES;
        if (count == 0 || records.length % PlainPayments.RECORD_BYTES != 0) revert MalformedBatch(records.length);

        PlainPayments.open(DOMAIN_SEPARATOR(), validBefore, participant_, _today());
        Skips memory skips = newSkips(count);
        _settleAll(records, skips);
        if (skips.count != 0) emit Skipped(skips.bitmap, skips.trimmedReasons());
        emit BatchSettled(uint16(participant_), count, count - skips.count);
    }

    // ------------------------------------------------------------------------------------------------ pauser

    function pause() external whenNotPaused onlyRole(PAUSER) {
        digitalCurrencyStorage().paused = true;
        emit Paused(msg.sender);
    }

    function unpause() external onlyRole(PAUSER) {
        if (!digitalCurrencyStorage().paused) revert NotPaused();
        digitalCurrencyStorage().paused = false;
        emit Unpaused(msg.sender);
    }

    // ------------------------------------------------------------------------------------------------ ERC-20

    function transfer(address payee, uint256 amount) external whenNotPaused returns (bool) {
        _transfer(msg.sender, payee, amount);
        return true;
    }

    function approve(address spender, uint256 amount) external returns (bool) {
        if (spender == address(0)) revert ZeroAddress();
        digitalCurrencyStorage().allowances[msg.sender][spender] = amount;
        emit Approval(msg.sender, spender, amount);
        return true;
    }

    function transferFrom(address payer, address payee, uint256 amount) external whenNotPaused returns (bool) {
        DigitalCurrencyStorage storage $ = digitalCurrencyStorage();
        uint256 allowed = $.allowances[payer][msg.sender];
        if (amount > allowed) revert InsufficientAllowance(msg.sender, allowed, amount);
        if (allowed != type(uint256).max) $.allowances[payer][msg.sender] = allowed - amount;
        _transfer(payer, payee, amount);
        return true;
    }

    function name() external view returns (string memory) {
        return digitalCurrencyStorage().name;
    }

    function symbol() external view returns (string memory) {
        return digitalCurrencyStorage().symbol;
    }

    function decimals() external view returns (uint8) {
        return digitalCurrencyStorage().decimals;
    }

    function totalSupply() external view returns (uint256) {
        return digitalCurrencyStorage().totalSupply;
    }

    function balanceOf(address owner) external view returns (uint256) {
        return digitalCurrencyStorage().accounts[owner].balance();
    }

    function allowance(address owner, address spender) external view returns (uint256) {
        return digitalCurrencyStorage().allowances[owner][spender];
    }

    // ------------------------------------------------------------------------------------------------ views

    function account(address owner) external view returns (Account memory) {
        uint256 word = digitalCurrencyStorage().accounts[owner];
        return Account({
            balance: uint96(word.balance()),
            nonce: uint32(word.nonce()),
            spentToday: uint64(word.spentToday()),
            day: uint16(word.day()),
            participant: uint16(word.participant()),
            tier: uint8(word.tier()),
            flags: uint24(word.flags())
        });
    }

    function accountWords(address[] calldata owners) external view returns (uint256[] memory words) {
        words = new uint256[](owners.length);
        for (uint256 i; i < owners.length; ++i) {
            words[i] = digitalCurrencyStorage().accounts[owners[i]];
        }
    }

    function tier(uint8 id)
        external
        view
        returns (uint96 holdingLimit, uint64 perPaymentLimit, uint64 dailyLimit)
    {
        uint256 word = digitalCurrencyStorage().tiers[id];
        return (uint96(word.holdingLimit()), uint64(word.perPaymentLimit()), uint64(word.dailyLimit()));
    }

    function participant(uint16 id)
        external
        view
        returns (address institution, uint8 institutionTier, uint256 tierMask)
    {
        DigitalCurrencyStorage storage $ = digitalCurrencyStorage();
        Participant storage found = $.participants[id];
        return (found.institution, uint8($.accounts[found.institution].tier()), found.tierMask);
    }

    function mintAllowance(uint16 id) external view returns (uint256) {
        return digitalCurrencyStorage().participants[id].mintAllowance;
    }

    function paused() external view returns (bool) {
        return digitalCurrencyStorage().paused;
    }

    // solhint-disable-next-line func-name-mixedcase
    function DOMAIN_SEPARATOR() public view returns (bytes32) {
        bytes32 nameHash = digitalCurrencyStorage().nameHash;
        return keccak256(abi.encode(DOMAIN_TYPEHASH, nameHash, keccak256("1"), block.chainid, address(this)));
    }

    // ------------------------------------------------------------------------------------------------ memberships

    function _requireParticipant(DigitalCurrencyStorage storage $) private view returns (uint256 word) {
        word = $.accounts[msg.sender];
        if (!word.has(AccountWord.INSTITUTION)) revert NotAParticipant(msg.sender);
        if (word.has(AccountWord.FROZEN | AccountWord.CLOSED)) revert ParticipantFrozen(word.participant());
    }

    /// @dev The word of an account that is new, or that already belongs to participant `id`.
    function _requireChangeable(DigitalCurrencyStorage storage $, address owner, uint256 id)
        private
        view
        returns (uint256 word)
    {
        word = $.accounts[owner];
        if (word == 0) return word;
        if (word.participant() != id) revert AccountOfAnotherParticipant(owner, word.participant());
        if (word.has(AccountWord.SYSTEM | AccountWord.CLOSED)) revert AccountNotChangeable(owner);
    }

    function _retire(DigitalCurrencyStorage storage $, uint256 id, address successor) private {
        address institution = $.participants[id].institution;
        if (institution == address(0) || institution == successor) return;
        _writeMembership($, institution, $.accounts[institution] & ~AccountWord.INSTITUTION);
    }

    function _writeMembership(DigitalCurrencyStorage storage $, address owner, uint256 word) private {
        $.accounts[owner] = word;
        emit AccountRegistered(owner, uint16(word.participant()), uint8(word.tier()), uint24(word.flags()));
    }

    function _setMintAllowance(DigitalCurrencyStorage storage $, uint16 id, uint256 previous, uint256 allowed) private {
        $.participants[id].mintAllowance = allowed;
        emit MintAllowanceChanged(id, previous, allowed);
    }
}
