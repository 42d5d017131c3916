"""The pages' words in English and Simplified Chinese. English is the key: gaps read well."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

LANGUAGES: Final = {"en": "English", "zh": "简体中文"}
HTML_LANGUAGE: Final = {"en": "en", "zh": "zh-Hans"}

Translate = Callable[..., str]

_CHINESE: Final = {
    # everywhere
    "Sandbox": "沙盒",
    "Sample money. Nothing here is real.": "示例资金，均非真实。",
    "Sign out": "退出",
    "Back": "返回",
    "Something is not right": "出了点问题",
    "Language": "语言",
    # first page of a bank
    "Your bank account and your digital currency, side by side.": "您的银行账户与数字货币，尽在一处。",
    "Sign in as a sample customer": "以示例客户身份登录",
    "In the sandbox you may be anyone. Choose a customer to see their wallet and pay with it.":
        "在沙盒中您可以是任何人。选择一位客户，查看其钱包并付款。",
    "Find a customer": "查找客户",
    "Find": "查找",
    "Name": "姓名",
    "No customer with a wallet that is ready was found.": "没有找到钱包已就绪的客户。",
    "Wallets are still being registered on chain. This page will show them once they are ready.":
        "钱包仍在链上登记，就绪后将显示在此页。",
    "Wallet": "钱包",
    "Account": "账户",
    # wallet
    "Wallet balance": "钱包余额",
    "Account balance": "账户余额",
    "Digital currency, a claim on the central bank": "数字货币，对中央银行的债权",
    "Deposit at {bank}": "在{bank}的存款",
    "No account is linked": "未关联账户",
    "available": "可用",
    "{amount} on its way": "{amount} 处理中",
    "The wallet is being registered on chain; it can pay once that is final.":
        "钱包正在链上登记，完成后即可付款。",
    "The wallet was moved to another bank.": "该钱包已转至其他银行。",
    "Another institution registered the wallet's address first: ask the bank for another wallet.":
        "该钱包的地址已先由其他机构登记，无法使用。请向银行申请新钱包。",
    "Pay": "付款",
    "Payee": "收款人",
    "Find a payee": "查找收款人",
    "Type a part of a name": "输入名称的一部分",
    "No payee has such a name.": "没有此名称的收款人。",
    "This bank knows no billers yet: enter an address.": "本行尚无收费商户，请输入地址。",
    "Another address": "其他地址",
    "Paid before": "付过款",
    "Biller": "收费商户",
    "Amount": "金额",
    "Note": "附言",
    "optional": "选填",
    "Review appears here before you pay.": "付款前将在此显示预览。",
    "From the wallet": "从钱包",
    "From the account": "从账户",
    "This payment can be made.": "此付款可以执行。",
    "This payment cannot be made:": "此付款无法执行：",
    "The payment was refused:": "付款被拒绝：",
    "The payment was accepted. Watch it become final below.": "付款已受理，可在下方查看其进展。",
    "Payments": "付款记录",
    "No payments yet. The first one will show here, step by step.": "暂无付款。第一笔付款将在此逐步显示。",
    "Unknown payee": "未知收款人",
    "From {name}": "来自 {name}",
    "Your account": "您的账户",
    "Your wallet": "您的钱包",
    "accepted": "已受理",
    "submitted": "已提交",
    "included": "已入块",
    "final": "已最终确认",
    "failed": "失败",
    "refused": "被拒绝",
    "Block {number}": "区块 {number}",
    "Transaction": "交易",
    "Booked movements": "已入账明细",
    "Nothing is booked yet.": "暂无入账。",
    "payment": "付款",
    "funding": "充值",
    "redemption": "赎回",
    "waterfall": "超限转存",
    "receipt": "收款",
    "opening": "开户存款",
    "This page shows news by itself. Without scripts, reload it.": "本页会自动更新；若禁用脚本，请手动刷新。",
    "Reload": "刷新",
    "Choose a payee.": "请选择收款人。",
    "Enter an amount, such as 250.00.": "请输入金额，例如 250.00。",
    # central bank
    "The currency at a glance.": "货币概览。",
    "In circulation": "流通量",
    "as of block {number}": "截至区块 {number}",
    "Books and chain": "账簿与链",
    "They agree": "一致",
    "They differ by {amount}": "相差 {amount}",
    "Not compared yet": "尚未核对",
    "Participants": "参与机构",
    "Bank": "银行",
    "Reserves": "准备金",
    "May still mint": "可铸额度",
    "Held by the bank": "银行持有",
    "Held by customers": "客户持有",
    "No bank takes part yet.": "尚无参与银行。",
    "Tiers": "等级",
    "Tier": "等级",
    "Holding limit": "持有上限",
    "Limit for one payment": "单笔限额",
    "Daily limit": "每日限额",
    "none": "无",
    "Issuance": "发行",
    "Nothing was issued yet.": "尚未发行。",
    "approval": "批准",
    "reserve deposit": "准备金存入",
    "Stopped flows": "已停止的流程",
    # reasons
    "FlowFrozen": "结算暂时停止。",
    "CurrencyPaused": "中央银行已暂停该货币。",
    "UnknownPayee": "没有这位收款人。",
    "PayerNotRegistered": "钱包尚未在链上登记。",
    "PayerFrozen": "付款账户已被冻结。",
    "PayerClosed": "付款账户已关闭。",
    "PayerSuspended": "付款银行已被中央银行暂停。",
    "PayerNotOfParticipant": "该钱包已转至其他银行。",
    "PayeeNotOfParticipant": "该钱包已转至其他银行。",
    "AddressOfAnotherParticipant": "该钱包的地址已先由其他机构登记，在此无法使用。请向银行申请新钱包。",
    "ParticipantSuspended": "中央银行已暂停本银行。",
    "ParticipantFrozen": "本银行自己的账户已被冻结。",
    "PayeeNotRegistered": "收款地址未登记。",
    "PayeeFrozen": "收款账户已被冻结。",
    "PayeeClosed": "收款账户已关闭。",
    "PayeeSuspended": "收款银行已被中央银行暂停。",
    "PayeeIsSystem": "收款方是系统账户，不能直接向其付款。",
    "SelfPayment": "付款人与收款人相同。",
    "InsufficientBalance": "结算时钱包余额不足。",
    "FundsHeld": "钱包中的部分资金已依命令冻结。",
    "Expired": "未能及时结算，款项未动，请重新付款。",
    "PerPaymentLimitExceeded": "金额超过单笔限额。",
    "DailyLimitExceeded": "金额超过今日剩余限额。",
    "HoldingLimitExceeded": "超过持有上限。",
    "InsufficientFunds": "可用资金不足。",
    "InsufficientInventory": "银行暂时没有足够的数字货币。",
    "NoLinkedAccount": "钱包未关联银行账户。",
    "NotFound": "此处没有内容。",
    "MethodNotAllowed": "此地址不支持该操作。",
    "InternalError": "我方系统出错，请告知我们事件编号。",
    "DatabaseUnavailable": "账簿暂时无法访问，请稍后重试。",
    "TooManyListeners": "打开的页面过多，请刷新本页查看最新消息。",
    "NotSignedIn": "请先登录。",
    "FormNotOurs": "表单已过期，请重新加载页面。",
    "MalformedAmount": "金额格式不正确。",
    "AmountNotPositive": "金额必须大于零。",
    "AmountTooLarge": "金额过大。",
}  # fmt: skip


_PLAIN: Final = {
    "AmountNotPositive": "The amount must be above zero.",
    "AmountTooLarge": "The amount is larger than one payment can carry.",
    "PayerFrozen": "The payer's account was frozen.",
    "PayerClosed": "The payer's account was closed.",
    "PayeeNotRegistered": "The payee's address is not registered.",
    "PayeeFrozen": "The payee's account was frozen.",
    "PayeeClosed": "The payee's account was closed.",
    "PayerSuspended": "The payer's bank was suspended by the central bank.",
    "PayeeSuspended": "The payee's bank was suspended by the central bank.",
    "PayeeIsSystem": "The payee is an account of the system, which is paid only as it asks.",
    "PayerNotOfParticipant": "The wallet was moved to another bank.",
    "PayeeNotOfParticipant": "The wallet was moved to another bank.",
    "ParticipantSuspended": "The central bank has suspended this bank.",
    "ParticipantFrozen": "This bank's own account is frozen.",
    "FundsHeld": "An order holds money of the wallet that this would have taken.",
    "PerPaymentLimitExceeded": "It was above the limit for one payment.",
    "DailyLimitExceeded": "It was above what was left of the day's limit.",
    "InsufficientBalance": "The wallet did not hold enough when it was settled.",
    "HoldingLimitExceeded": "The payee had no room for it.",
    "SelfPayment": "Payer and payee are the same.",
    "Expired": "It was not settled in time. Nothing was taken: please pay again.",
}
"""Codes whose sentence is written for programs, or that come from the chain without one."""


def translator(language: str) -> Translate:
    """A function that turns English words, with `{name}` placeholders, into `language`."""

    def translate(english: str, **values: object) -> str:
        words = _CHINESE.get(english, english) if language == "zh" else english
        return words.format(**values) if values else words

    return translate


def reason_translator(language: str) -> Callable[..., str]:
    """A function that turns a code, and its English sentence where there is one, into words in `language`."""

    def translate(code: str, english: str | None = None) -> str:
        is_for_programs = code.startswith("Amount")
        sentence = _PLAIN.get(code, code) if english is None or is_for_programs else english
        return _CHINESE.get(code, sentence) if language == "zh" else sentence

    return translate


def choose_language(chosen: str | None, accepted: str) -> str:
    """The visitor's own choice, else the first language of `Accept-Language` that there is, else English."""
    if chosen in LANGUAGES:
        return chosen
    ranked = []
    for part in accepted.split(",")[:20]:
        tag, _, weight = part.strip().partition(";q=")
        try:
            ranked.append((-float(weight or "1"), tag.lower().split("-")[0]))
        except ValueError:
            continue
    for _, tag in sorted(ranked, key=lambda pair: pair[0]):
        if tag in LANGUAGES:
            return tag
    return "en"
