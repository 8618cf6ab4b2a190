require ["environment", "imapsieve", "imap4flags", "variables", "fileinto", "copy", "mailbox", "editheader", "relational", "body", "duplicate"];

# Why it runs is shown by keywords.
if environment :matches "imap.cause" "*" { addflag "on${1}"; }
if environment :contains "imap.changedflags" "\\Flagged" {
    if hasflag "\\Flagged" { addflag "raised"; } else { addflag "lowered"; }
}
if header "subject" "where" {
    if environment "imap.mailbox" "Scripted" { addflag "rightbox"; }
    if allof (environment "imap.user" "ada@rohrpost.test", environment "imap.email" "ada@rohrpost.test") { addflag "byada"; }
    if allof (environment "location" "MS", environment "phase" "post") { addflag "atrest"; }
}
elsif header "subject" "copy" { fileinto :copy "Copies"; }
elsif header "subject" "move" { fileinto "Copies"; }
elsif header "subject" "away" { discard; }
elsif header "subject" "kept" { discard; keep; }
elsif header "subject" "inbox" { fileinto :copy "INBOX"; }
elsif header "subject" "changed" { addheader "X-Script" "was here"; fileinto :copy "Copies"; }
elsif header "subject" "nowhere" { fileinto "Nowhere"; }
elsif header "subject" "made" { fileinto :copy :create "Made/Here"; }
elsif header "subject" "round" { fileinto :copy "Scripted"; }
elsif header "subject" "wrong" { addflag "lost"; fileinto "Copies"; redirect "${nothing}"; }
