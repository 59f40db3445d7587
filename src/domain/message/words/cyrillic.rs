//! Languages in Cyrillic letters: UCS-2 in a text message.

use super::Words;

pub(super) const WORDS: &[Words] = &[
    Words {
        tags: &["bg"],
        named: "Вашият код за потвърждение за {{name}} е: {{code}}",
        plain: "Вашият код за потвърждение е: {{code}}",
        short: "Код: {{code}}",
        warning: "Не го споделяйте с никого.",
        payment: "Плащане: {{amount}}, получател: {{payee}}",
        subject: "Вашият код за потвърждение за {{name}}",
        again: "Повтарям:",
        stop: ". ",
    },
    Words {
        tags: &["ru"],
        named: "Ваш код подтверждения для {{name}}: {{code}}",
        plain: "Ваш код подтверждения: {{code}}",
        short: "Код: {{code}}",
        warning: "Никому его не сообщайте.",
        payment: "Платёж: {{amount}}, получатель: {{payee}}",
        subject: "Ваш код подтверждения для {{name}}",
        again: "Повторяю:",
        stop: ". ",
    },
    Words {
        tags: &["uk"],
        named: "Ваш код підтвердження для {{name}}: {{code}}",
        plain: "Ваш код підтвердження: {{code}}",
        short: "Код: {{code}}",
        warning: "Нікому його не повідомляйте.",
        payment: "Платіж: {{amount}}, отримувач: {{payee}}",
        subject: "Ваш код підтвердження для {{name}}",
        again: "Повторюю:",
        stop: ". ",
    },
];
