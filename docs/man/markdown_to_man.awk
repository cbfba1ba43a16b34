# SPDX-License-Identifier: MIT
# Makes a manual page, or a part of one, from a page of docs/, so that there is one text.
# POSIX awk.
#
#   awk -v name=untorn-store -v section=5 -v what='...' -v version=0.1.0 -v date=2026-01-31 \
#       -f markdown_to_man.awk docs/store.md >untorn-store.5
#   awk -v from=Segments -f markdown_to_man.awk docs/shmstat.md      from that heading on, no title
#
# Knows what the pages use: headings, paragraphs, lists of one level, code (fenced or indented by
# four), tables, `code`, **bold**, *emphasis* and links.  Lists of links to a page's own headings
# are left out; links to pages that are manual pages become references to those.  Tables go
# through tbl.

BEGIN {
    page["segment-layout.md"] = "untorn-segment(5)"
    page["store.md"] = "untorn-store(5)"
    page["manifest.md"] = "untorn-manifest(5)"
    page["shmstat.md"] = "shmstat(1)"
    skipping = from != ""
    if (name != "") {
        print "'\\\" t"
        print ".\\\" Made from " FILENAME_OF() "; do not edit."
        print ".TH " toupper(name) " " section " " date " \"Untorn " version "\" \"File formats\""
        print ".nh"
        print ".ad l"
        print ".SH NAME"
        print name " \\- " what
        print ".SH DESCRIPTION"
        last = ".SH"
    }
}

function FILENAME_OF(    path) {
    path = ARGV[ARGC - 1]
    sub(/.*\//, "", path)
    return "docs/" path
}

function put(line) {
    if (line == ".PP") {
        if (last !~ /^\.S[HS]/) pending = 1
        return
    }
    if (pending && line !~ /^\.(SH|SS|TP|IP|RE)/) print ".PP"
    pending = 0
    print line
    last = line
}

function escape(text) {
    gsub(/\\/, "\\e", text)
    gsub(/~/, "\\(ti", text)
    gsub(/\^/, "\\(ha", text)
    gsub(/-/, "\\-", text)
    return text
}

function guard(text) { return text ~ /^[.']/ ? "\\&" text : text }

function fonts(text) {
    gsub(/\001/, "\\fB", text)
    gsub(/\002/, "\\fI", text)
    gsub(/\003/, "\\fR", text)
    return text
}

# Markdown within a line, as roff.  Code first, lest marks in it be taken for others.
function inline(text,    out, piece, label, target) {
    while (text != "") {
        if (!match(text, /`[^`]+`|\[[^]]+\]\([^)]+\)|\*\*([^*]|\*[^*]+\*)+\*\*|\*[A-Za-z][^*]*\*/)) {
            out = out text
            break
        }
        out = out substr(text, 1, RSTART - 1)
        piece = substr(text, RSTART, RLENGTH)
        text = substr(text, RSTART + RLENGTH)
        if (piece ~ /^`/) out = out "\001" substr(piece, 2, length(piece) - 2) "\003"
        else if (piece ~ /^\*\*/) {
            piece = substr(piece, 3, length(piece) - 4)
            gsub(/\*/, "", piece)
            out = out "\001" piece "\003"
        }
        else if (piece ~ /^\*/) out = out "\002" substr(piece, 2, length(piece) - 2) "\003"
        else {
            label = piece
            sub(/^\[/, "", label); sub(/\]\(.*/, "", label)
            target = piece
            sub(/^.*\]\(/, "", target); sub(/\)$/, "", target)
            if (target ~ /^http/) out = out label " <" target ">"
            else {
                sub(/#.*/, "", target)
                gsub(/`/, "", label)
                out = out (target in page ? (label == target ? page[target] : label " (" page[target] ")") \
                                          : label)
            }
        }
    }
    return fonts(escape(out))
}

# In lines of at most 90 columns or so.
function put_filled(text,    words, n, i, line) {
    n = split(inline(text), words, / +/)
    for (i = 1; i <= n; i++) {
        if (words[i] == "") continue
        if (line != "" && length(line) + length(words[i]) >= 90) {
            put(guard(line))
            line = ""
        }
        line = line (line == "" ? "" : " ") words[i]
    }
    if (line != "") put(guard(line))
}

# --- blocks ---

function end_paragraph() {
    if (paragraph == "") return
    put(".PP")
    put_filled(paragraph)
    paragraph = ""
}

function end_item() {
    if (item == "") return
    # A list of links to headings is the page's contents, which a manual page does without.
    if (item !~ /^\[[^]]*\]\(#[^)]*\)$/) {
        put(mark == "" ? ".IP \\(bu 2" : ".IP " mark " 4")
        put_filled(item)
        after_list = 1
    }
    item = ""
}

function end_code() {
    if (!in_code) return
    put(".fi"); put(".RE")
    in_code = 0
}

function begin_code() {
    put(".PP"); put(".RS 4"); put(".nf")
    in_code = 1
    blank = 0
}

function split_row(row, cells,    n, i) {
    sub(/^ *\| ?/, "", row)
    sub(/ *\| *$/, "", row)
    gsub(/\\\|/, "\004", row)
    n = split(row, cells, / *\| */)
    for (i = 1; i <= n; i++) { gsub(/\004/, "|", cells[i]); gsub(/^ +| +$/, "", cells[i]) }
    return n
}

function end_table(    i, j, n, cells, columns, widest, total, format, line, titled, wide) {
    if (!rows) return
    columns = 0
    for (i = 1; i <= rows; i++) {
        if (i == 2) continue
        n = split_row(row[i], cells)
        if (n > columns) columns = n
        for (j = 1; j <= n; j++) {
            if (length(cells[j]) > widest[j]) widest[j] = length(cells[j])
            if (i == 1 && cells[j] != "") titled = 1
        }
    }
    for (j = 1; j <= columns; j++) total += widest[j] + 3
    for (j = 1; j <= columns; j++) {
        wide[j] = total > 70 && widest[j] > 24
        format = format (j > 1 ? " " : "") (wide[j] ? "lx" : "l")
    }
    put(".PP"); put(".TS"); put("tab(|);")
    if (titled) {
        line = format
        gsub(/l/, "lb", line)
        put(line)
    }
    put(format ".")
    for (i = 1; i <= rows; i++) {
        if (i == 2 || i == 1 && !titled) continue
        for (j = 1; j <= columns; j++) cells[j] = ""
        split_row(row[i], cells)
        line = ""
        for (j = 1; j <= columns; j++) {
            gsub(/\|/, "\005", cells[j])
            cells[j] = inline(cells[j])
            gsub(/\005/, "\\(ba", cells[j])
            if (wide[j] && cells[j] != "") {
                put(line (j > 1 ? "|" : "") "T{")
                put(guard(cells[j]))
                line = "T}"
            } else {
                line = line (j > 1 ? "|" : "") cells[j]
            }
        }
        put(guard(line))
    }
    put(".TE")
    rows = 0
    for (i in row) delete row[i]
}

function end_all() { end_paragraph(); end_item(); end_table(); end_code() }

/^```/ {
    if (fenced) { fenced = 0; end_code(); next }
    if (skipping) { fenced = 1; next }
    end_all()
    fenced = 1
    begin_code()
    next
}
fenced { if (!skipping) put(guard(escape($0))); next }

skipping { if ($0 == "## " from) skipping = 0; else next }

/^# / { next }
/^## Contents$/ { next }
/^## / { end_all(); sub(/^## /, ""); put(".SH " toupper(fonts(escape($0)))); next }
/^###+ / { end_all(); sub(/^#+ /, ""); put(".SS " inline($0)); next }

/^\|/ { end_paragraph(); end_item(); end_code(); row[++rows] = $0; next }
rows { end_table() }

# Code that is indented; blank lines in it stay if more follows.
/^    / && paragraph == "" && item == "" {
    if (!in_code) begin_code()
    while (blank > 0) { put(""); blank-- }
    put(guard(escape(substr($0, 5))))
    next
}
/^ *$/ {
    if (in_code) { blank++; next }
    end_paragraph(); end_item()
    next
}
{ end_code() }

/^- / { end_paragraph(); end_item(); mark = ""; item = substr($0, 3); next }
/^[0-9]+\. / {
    end_paragraph(); end_item()
    mark = $1
    item = $0
    sub(/^[0-9]+\. +/, "", item)
    next
}
item != "" && /^ +/ { sub(/^ +/, ""); item = item " " $0; next }
{ end_item(); paragraph = paragraph (paragraph == "" ? "" : " ") $0 }

END { end_all() }
