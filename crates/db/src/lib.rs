//! One SQL subset behind which SQLite stands today: transactions, rows, migrations, open files.
