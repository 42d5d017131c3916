"""What each kind of message says, in each language: a subject, and a text of one or two sentences."""

from __future__ import annotations

from typing import Final, NamedTuple

from api.notifications.kinds import Language


class Wording(NamedTuple):
    """A subject and a text, with the kind's values in braces; amounts are `{amount}` and `{limit}`."""

    subject: str
    text: str


_NOT_YOU: Final = "If that was not you, end your other sessions and tell us at once."
_NOT_YOU_ZH: Final = "如果不是您本人操作，请立即结束其他登录并联系我们。"
_KEEP: Final = "It is valid for {minutes}. Give it to nobody: we never ask for it."
_KEEP_ZH: Final = "{minutes}内有效。请勿告诉任何人：我们绝不会向您索要。"

WORDING: Final[dict[str, dict[Language, Wording]]] = {
    "payment_accepted": {
        "en": Wording(
            "Payment accepted: {amount}", "Your payment of {amount} to {payee_name} is on its way."
        ),
        "zh": Wording("付款已受理：{amount}", "您向{payee_name}支付的{amount}正在处理中。"),
    },
    "payment_final": {
        "en": Wording("Paid: {amount}", "Your payment of {amount} to {payee_name} is final."),
        "zh": Wording("付款完成：{amount}", "您向{payee_name}支付的{amount}已最终完成。"),
    },
    "payment_received": {
        "en": Wording("Received: {amount}", "You received {amount} from {payer_name}."),
        "zh": Wording("收款：{amount}", "您收到{payer_name}支付的{amount}。"),
    },
    "payment_refused": {
        "en": Wording(
            "Payment refused: {amount}", "Your payment of {amount} to {payee_name} was refused: {reason}."
        ),
        "zh": Wording("付款被拒绝：{amount}", "您向{payee_name}支付的{amount}被拒绝：{reason}。"),
    },
    "payment_failed": {
        "en": Wording(
            "Payment failed: {amount}",
            "Your payment of {amount} to {payee_name} failed: {reason}. The money is yours as before.",
        ),
        "zh": Wording("付款失败：{amount}", "您向{payee_name}支付的{amount}失败：{reason}。资金仍归您所有。"),
    },
    "funding_final": {
        "en": Wording("Wallet funded: {amount}", "{amount} came from your account into your wallet."),
        "zh": Wording("钱包已充值：{amount}", "{amount}已从您的账户转入钱包。"),
    },
    "funding_refused": {
        "en": Wording(
            "Funding refused: {amount}", "Funding your wallet with {amount} was refused: {reason}."
        ),
        "zh": Wording("充值被拒绝：{amount}", "您的钱包充值{amount}被拒绝：{reason}。"),
    },
    "funding_failed": {
        "en": Wording(
            "Funding failed: {amount}",
            "Funding your wallet with {amount} failed: {reason}. The money is in your account as before.",
        ),
        "zh": Wording("充值失败：{amount}", "您的钱包充值{amount}失败：{reason}。资金仍在您的账户中。"),
    },
    "redemption_refused": {
        "en": Wording("Redemption refused: {amount}", "Redeeming {amount} was refused: {reason}."),
        "zh": Wording("赎回被拒绝：{amount}", "您赎回{amount}被拒绝：{reason}。"),
    },
    "redemption_failed": {
        "en": Wording(
            "Redemption failed: {amount}",
            "Redeeming {amount} failed: {reason}. The money is in your wallet as before.",
        ),
        "zh": Wording("赎回失败：{amount}", "您赎回{amount}失败：{reason}。资金仍在您的钱包中。"),
    },
    "redemption_final": {
        "en": Wording("Redeemed: {amount}", "{amount} went from your wallet back into your account."),
        "zh": Wording("已赎回：{amount}", "{amount}已从您的钱包转回账户。"),
    },
    "daily_limit_near": {
        "en": Wording("Daily limit is near", "You have spent {percent} of today's limit of {limit}."),
        "zh": Wording("接近每日限额", "您今天已使用每日限额{limit}的{percent}。"),
    },
    "holding_limit_near": {
        "en": Wording("Holding limit is near", "Your wallet holds {percent} of its limit of {limit}."),
        "zh": Wording("接近持有限额", "您的钱包余额已达到持有限额{limit}的{percent}。"),
    },
    "request_received": {
        "en": Wording("Payment request: {amount}", "{requester_name} asks you for {amount}."),
        "zh": Wording("收款请求：{amount}", "{requester_name}请您支付{amount}。"),
    },
    "refund_received": {
        "en": Wording("Refund: {amount}", "{payer_name} refunded {amount} to you."),
        "zh": Wording("退款：{amount}", "{payer_name}已向您退款{amount}。"),
    },
    "standing_order_failed": {
        "en": Wording(
            "Standing order not paid: {amount}",
            "Your standing order of {amount} to {payee_name} could not be paid: {reason}.",
        ),
        "zh": Wording("定期付款未完成：{amount}", "您向{payee_name}的定期付款{amount}未能完成：{reason}。"),
    },
    "new_device": {
        "en": Wording(
            "New sign-in", f"Someone signed in as you on a new device: {{device_name}}. {_NOT_YOU}"
        ),
        "zh": Wording("新设备登录", f"您的账号在新设备上登录：{{device_name}}。{_NOT_YOU_ZH}"),
    },
    "password_changed": {
        "en": Wording("Password changed", f"Your password was changed. {_NOT_YOU}"),
        "zh": Wording("密码已更改", f"您的密码已更改。{_NOT_YOU_ZH}"),
    },
    "passkey_added": {
        "en": Wording("Passkey added", f"A passkey was added: {{device_name}}. {_NOT_YOU}"),
        "zh": Wording("已添加通行密钥", f"已添加通行密钥：{{device_name}}。{_NOT_YOU_ZH}"),
    },
    "passkey_removed": {
        "en": Wording("Passkey removed", f"A passkey was removed: {{device_name}}. {_NOT_YOU}"),
        "zh": Wording("已移除通行密钥", f"已移除通行密钥：{{device_name}}。{_NOT_YOU_ZH}"),
    },
    "totp_added": {
        "en": Wording("Authenticator added", f"An authenticator app was added. {_NOT_YOU}"),
        "zh": Wording("已添加验证器", f"已添加验证器应用。{_NOT_YOU_ZH}"),
    },
    "totp_removed": {
        "en": Wording("Authenticator removed", f"Your authenticator app was removed. {_NOT_YOU}"),
        "zh": Wording("已移除验证器", f"您的验证器应用已移除。{_NOT_YOU_ZH}"),
    },
    "recovery_codes_made": {
        "en": Wording(
            "New recovery codes", f"New recovery codes were made; the old ones are void. {_NOT_YOU}"
        ),
        "zh": Wording("新的恢复码", f"已生成新的恢复码，旧的恢复码已失效。{_NOT_YOU_ZH}"),
    },
    "contact_added": {
        "en": Wording("Contact added", f"{{contact}} was added to your contacts. {_NOT_YOU}"),
        "zh": Wording("已添加联系方式", f"已添加联系方式：{{contact}}。{_NOT_YOU_ZH}"),
    },
    "contact_removed": {
        "en": Wording("Contact removed", f"{{contact}} was removed from your contacts. {_NOT_YOU}"),
        "zh": Wording("已移除联系方式", f"已移除联系方式：{{contact}}。{_NOT_YOU_ZH}"),
    },
    "recovery_started": {
        "en": Wording(
            "Recovery of your access",
            f"Somebody asked to recover your access. Limits are lower until it is done. {_NOT_YOU}",
        ),
        "zh": Wording("找回访问权限", f"有人申请找回您的访问权限。完成之前限额会降低。{_NOT_YOU_ZH}"),
    },
    "recovery_finished": {
        "en": Wording("Access recovered", f"Your access was recovered with a new passkey. {_NOT_YOU}"),
        "zh": Wording("访问权限已找回", f"您的访问权限已用新的通行密钥找回。{_NOT_YOU_ZH}"),
    },
    "recovery_cancelled": {
        "en": Wording("Recovery cancelled", f"The recovery of your access was cancelled. {_NOT_YOU}"),
        "zh": Wording("找回已取消", f"找回您访问权限的申请已取消。{_NOT_YOU_ZH}"),
    },
    "recovery_code_used": {
        "en": Wording(
            "Recovery code used", f"A recovery code was used to sign in; codes left: {{left}}. {_NOT_YOU}"
        ),
        "zh": Wording("已使用恢复码", f"有人使用恢复码登录，剩余恢复码：{{left}}。{_NOT_YOU_ZH}"),
    },
    "registration_code": {
        "en": Wording("Your code to register", f"Your code to register: {{code}}. {_KEEP}"),
        "zh": Wording("您的注册验证码", f"您的注册验证码：{{code}}。{_KEEP_ZH}"),
    },
    "sign_in_code": {
        "en": Wording("Your code to sign in", f"Your code to sign in: {{code}}. {_KEEP}"),
        "zh": Wording("您的登录验证码", f"您的登录验证码：{{code}}。{_KEEP_ZH}"),
    },
    "contact_code": {
        "en": Wording("Your code to confirm", f"Your code to confirm this contact: {{code}}. {_KEEP}"),
        "zh": Wording("您的确认验证码", f"您确认此联系方式的验证码：{{code}}。{_KEEP_ZH}"),
    },
    "password_code": {
        "en": Wording("Your code for a new password", f"Your code for a new password: {{code}}. {_KEEP}"),
        "zh": Wording("您的重设密码验证码", f"您的重设密码验证码：{{code}}。{_KEEP_ZH}"),
    },
    "recovery_code": {
        "en": Wording("Your code to recover", f"Your code to recover your access: {{code}}. {_KEEP}"),
        "zh": Wording("您的找回验证码", f"您找回访问权限的验证码：{{code}}。{_KEEP_ZH}"),
    },
}

UNNAMED: Final[dict[str, dict[Language, str]]] = {
    "payee_name": {"en": "another account", "zh": "其他账户"},
    "payer_name": {"en": "another account", "zh": "其他账户"},
    "requester_name": {"en": "Somebody", "zh": "有人"},
    "device_name": {"en": "unknown", "zh": "未知设备"},
}
"""What stands where a name is not known."""

REASONS_ZH: Final = {
    "InsufficientFunds": "余额不足",
    "InsufficientBalance": "余额不足",
    "InsufficientInventory": "银行暂时无法充值",
    "FundsHeld": "资金被依法冻结",
    "PerPaymentLimitExceeded": "超过单笔限额",
    "DailyLimitExceeded": "超过每日限额",
    "HoldingLimitExceeded": "超过持有限额",
    "PayerFrozen": "付款方账户已冻结",
    "PayeeFrozen": "收款方账户已冻结",
    "PayerClosed": "付款方账户已关闭",
    "PayeeClosed": "收款方账户已关闭",
    "PayeeNotRegistered": "收款地址未登记",
    "UnknownPayee": "找不到收款方",
    "SelfPayment": "付款方与收款方相同",
    "CurrencyPaused": "央行已暂停该货币",
    "FlowFrozen": "结算暂停",
    "Expired": "已过期",
    "MandateExpired": "授权已过期",
    "MandateRevoked": "授权已撤销",
    "MandateCapExceeded": "超过授权上限",
}
"""Reasons by their code; in English their titles say it."""
