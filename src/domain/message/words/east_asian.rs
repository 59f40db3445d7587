//! Chinese, Japanese and Korean.

use super::Words;

pub(super) const WORDS: &[Words] = &[
    Words {
        tags: &["ja"],
        named: "{{name}} の認証コード: {{code}}",
        plain: "認証コード: {{code}}",
        short: "コード: {{code}}",
        warning: "他の人に教えないでください。",
        payment: "お支払い: {{amount}}、受取人: {{payee}}",
        subject: "{{name}} の認証コード",
        again: "繰り返します。",
        stop: "。",
    },
    Words {
        tags: &["ko"],
        named: "{{name}} 인증번호: {{code}}",
        plain: "인증번호: {{code}}",
        short: "번호: {{code}}",
        warning: "다른 사람에게 알려주지 마세요.",
        payment: "결제: {{amount}}, 수취인: {{payee}}",
        subject: "{{name}} 인증번호",
        again: "다시 한번:",
        stop: ". ",
    },
    Words {
        tags: &["zh", "zh-CN", "zh-SG", "zh-Hans"],
        named: "您的 {{name}} 验证码是：{{code}}",
        plain: "您的验证码是：{{code}}",
        short: "验证码：{{code}}",
        warning: "请勿告诉他人。",
        payment: "付款：{{amount}}，收款方：{{payee}}",
        subject: "您的 {{name}} 验证码",
        again: "再说一遍：",
        stop: "。",
    },
    Words {
        tags: &["zh-HK", "zh-TW", "zh-MO", "zh-Hant"],
        named: "您的 {{name}} 驗證碼是：{{code}}",
        plain: "您的驗證碼是：{{code}}",
        short: "驗證碼：{{code}}",
        warning: "請勿告訴他人。",
        payment: "付款：{{amount}}，收款人：{{payee}}",
        subject: "您的 {{name}} 驗證碼",
        again: "再說一遍：",
        stop: "。",
    },
];
