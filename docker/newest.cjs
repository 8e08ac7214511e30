// Prints the newest order of a copy of the application's database.

const Database = require('better-sqlite3')

console.log(new Database(process.argv[2]).prepare('select * from orders order by id desc limit 1').get())
