require ["imapsieve", "copy", "enotify"];
if header "subject" "on" { redirect :copy "friend@elsewhere.example"; }
elsif header "subject" "forward" { redirect "friend@elsewhere.example"; }
elsif header "subject" "ours" { redirect "bob@rohrpost.test"; }
elsif header "subject" "nobody" { redirect "nobody@rohrpost.test"; }
elsif header "subject" "tell" { notify :message "look" "mailto:friend@elsewhere.example"; }
