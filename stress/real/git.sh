# SPDX-License-Identifier: MIT
# A history of 8000 commits from a stream made here; log with patches and
# renames, blame, a whole repack.

needs git awk cksum

run()
{
    repository=$folder/repository.${preload:+with}
    HOME=$folder GIT_CONFIG_NOSYSTEM=1 GIT_PAGER=cat
    export HOME GIT_CONFIG_NOSYSTEM GIT_PAGER
    git init -q -b main "$repository" || return 1
    awk 'BEGIN {
        for (commit = 1; commit <= 8000; commit++) {
            printf "commit refs/heads/main\nmark :%d\n", commit
            printf "committer A <a@example.org> %d +0000\n", 1000000000 + commit
            printf "data 10\nchange %03d\n", commit % 1000
            if (commit > 1) printf "from :%d\n", commit - 1
            text = ""
            for (line = 0; line < 40; line++)
                text = text "line " line " of " int(commit / (line + 1)) "\n"
            printf "M 100644 inline folder%d/file%d\ndata %d\n%s\n", \
                commit % 7, commit % 50, length(text), text
        }
    }' | under git -C "$repository" fast-import --quiet || return 1
    under git -C "$repository" log -p -M --stat --format='%H %an %s' main >"$folder/log" || return 1
    cksum <"$folder/log"
    under git -C "$repository" blame -s main -- folder0/file0 || return 1
    under git -C "$repository" -c pack.threads=1 repack -q -a -d || return 1
    under git -C "$repository" rev-list --objects --all | cksum
    under git -C "$repository" fsck --full --strict 2>&1
}
