# SPDX-License-Identifier: MIT
# Makes the manual page of the library's calls from include/untorn.h, so that there is one text.
# POSIX awk.
#
#   awk -v version=0.1.0 -v date=2026-01-31 -f header_to_man.awk untorn.h >untorn.3
#   awk -v list=1 -f header_to_man.awk untorn.h          the calls' names, one a line
#
# What it relies on:
#   - the first block comment is the introduction: headings in capitals, text indented by two more;
#   - a comment that begins with a rule of dashes opens a section, whose title is the text up to
#     the first '.', ':' or ',' of the next line;
#   - a comment in column 1 belongs to the code below it; both end at a blank line;
#   - lines of a comment that are indented further than the others are examples;
#   - UNTORN_STATUS_LIST has lines X(NAME, number, "text").
# Prototypes and comments inside structures are broken anew, for lines of 72 columns.

BEGIN { WIDTH = 72 }

# --- roff ---

function escape(text) {
    gsub(/\\/, "\\e", text)
    gsub(/~/, "\\(ti", text)
    gsub(/\^/, "\\(ha", text)
    gsub(/-/, "\\-", text)
    return text
}

# \001 and \002 stand for font changes, since backslashes in replacements differ between awks.
function fonts(text) {
    gsub(/\001/, "\\fB", text)
    gsub(/\002/, "\\fI", text)
    gsub(/\003/, "\\fR", text)
    return text
}

function guard(text) { return text ~ /^[.']/ ? "\\&" text : text }

# Paragraph macros are held back until it is known that something follows.
function put(line) {
    if (line == ".PP") {
        if (last !~ /^\.S[HS]/) pending = 1
        return
    }
    if (pending && line !~ /^\.(SH|SS|TP|RE)/) body = body ".PP\n"
    pending = 0
    body = body line "\n"
    last = line
}

function put_literal(line) { put(guard(escape(line))) }

function put_text(line,    rest, out) {
    gsub(/untorn_[a-z_]+\(\)/, "\001&\003", line)
    gsub(/UNTORN_[A-Z_]*[A-Z]/, "\001&\003", line)
    while (match(line, /`[^`]+`/))
        line = substr(line, 1, RSTART - 1) "\002" substr(line, RSTART + 1, RLENGTH - 2) "\003" \
               substr(line, RSTART + RLENGTH)
    # *word* is emphasis; *pointer is not.
    rest = line
    while (match(rest, /\*[a-z]+\*/)) {
        out = out substr(rest, 1, RSTART - 1) "\002" substr(rest, RSTART + 1, RLENGTH - 2) "\003"
        rest = substr(rest, RSTART + RLENGTH)
    }
    put(guard(fonts(escape(out rest))))
}

# --- text ---

function indent_of(line) { match(line, /^ */); return RLENGTH }

# Emits lines[first..last]; `base` columns of indentation are no example's.
function put_paragraphs(lines, first, last, base,    i, line, literal, open) {
    for (i = first; i <= last; i++) {
        line = lines[i]
        if (line ~ /^ *$/) {
            if (literal) { put(".fi"); put(".RE"); literal = 0 }
            open = 0
            continue
        }
        if (indent_of(line) > base && !literal) {
            put(".PP")
            put(".RS 4"); put(".nf")
            literal = 1
        } else if (indent_of(line) <= base && literal) {
            put(".fi"); put(".RE")
            literal = 0
            open = 0
        }
        if (literal) { put_literal(substr(line, base + 1)); continue }
        if (!open && i > first) put(".PP")
        # Errors, and what begins with a name and a colon, on lines of their own.
        else if (open && (line ~ /^ *UNTORN_(E_|OK:)/ && lines[i - 1] ~ /[.;]$/ || \
                          line ~ /^ *untorn_[a-z_]+:/ && lines[i - 1] ~ /\.$/))
            put(".br")
        open = 1
        sub(/^ */, "", line)
        put_text(line)
    }
    if (literal) { put(".fi"); put(".RE") }
}

# The introduction, whose headings are in capitals.
function put_introduction(lines, count,    i, from) {
    put(".SH DESCRIPTION")
    from = 1
    for (i = 1; i <= count + 1; i++) {
        if (i <= count && lines[i] !~ /^[A-Z]+$/) continue
        put_paragraphs(lines, from, i - 1, from == 1 ? 0 : 2)
        if (i > count) return
        if (lines[i] != "INTRODUCTION") put(".SH " lines[i])
        else put(".PP")
        from = i + 1
        while (from <= count && lines[from] == "") from++
        i = from - 1
    }
}

function put_section(lines, count,    title) {
    sectioned = 1
    title = lines[2]
    sub(/[.:,].*/, "", title)
    put(".SH " toupper(title))
    if (count > 2 || lines[2] != title) put_paragraphs(lines, 2, count, 0)
}

# --- code ---

# One line of code, in bold, broken at commas.
function put_code(line,    indent, piece, at) {
    gsub(/ +\\$/, " \\", line)
    indent = indent_of(line)
    while (length(line) > WIDTH) {
        piece = substr(line, 1, WIDTH)
        if (!match(piece, /.*, /) && !match(piece, /.*\(/)) break
        at = RLENGTH
        piece = substr(line, 1, at)
        sub(/ $/, "", piece)
        put("\\fB" escape(piece) "\\fR")
        line = sprintf("%" (indent + 4) "s%s", "", substr(line, at + 1))
        if (length(substr(line, indent + 5)) == 0) return
    }
    put("\\fB" guard(escape(line)) "\\fR")
}

# A comment inside of code, broken anew.
function put_comment(text, indent,    words, n, i, line, pad) {
    pad = sprintf("%" indent "s", "")
    n = split(text, words, / +/)
    line = pad "/*"
    for (i = 1; i <= n; i++) {
        if (words[i] == "") continue
        if (length(line) + 1 + length(words[i]) + 3 > WIDTH) {
            put(escape(line))
            line = pad " *"
        }
        line = line " " words[i]
    }
    put(escape(line " */"))
}

function comment_text(line) {
    sub(/^ *\/\*/, "", line)
    sub(/\*\/ *$/, "", line)
    sub(/^ *\* ?/, "", line)
    sub(/^ */, "", line)
    sub(/ *$/, "", line)
    return line
}

# code[1..code_count]: joins what was broken, then puts it.
function put_item_code(    i, line, rest, at, text, indent) {
    put(".PP"); put(".nf")
    for (i = 1; i <= code_count; i++) {
        line = code[i]
        if (line ~ /^UNTORN_API/ || line ~ /^typedef [^{]*\(/)
            while (line !~ /; *$/ && i < code_count && line !~ /;/) {
                rest = code[++i]
                sub(/^ */, "", rest)
                line = line (line ~ /\($/ ? "" : " ") rest
            }
        else if (line ~ /^ +[a-z_0-9 ]+$/ && i < code_count) {
            rest = code[++i]
            sub(/^ */, "", rest)
            line = line " " rest
        }
        sub(/^UNTORN_API /, "", line)
        at = index(line, "/*")
        if (at == 0) { put_code(line); continue }
        indent = indent_of(line)
        text = comment_text(substr(line, at))
        while (index(code[i], "*/") == 0 && i < code_count) text = text " " comment_text(code[++i])
        line = substr(line, 1, at - 1)
        sub(/ *$/, "", line)
        if (line != "" && length(line) + length(text) + 7 <= WIDTH) {
            put("\\fB" escape(line) "\\fR " escape("/* " text " */"))
        } else {
            put_comment(text, indent)
            if (line != "") put_code(line)
        }
    }
    put(".fi")
}

function put_item(    skip) {
    if (code_count) {
        if (!sectioned++) put(".SH VERSION AND LIMITS")
        put_item_code()
        if (text_count) {
            put(".RS 4")
            put_paragraphs(text, 1, text_count, 0)
            put(".RE")
        }
    } else if (text_count) {
        put(".PP")
        put_paragraphs(text, 1, text_count, 0)
    }
    code_count = text_count = 0
}

function put_status(line,    parts, words) {
    sub(/^ *X\(/, "", line)
    split(line, parts, "\"")
    split(parts[1], words, /, */)
    put(".TP")
    put("\\fB" words[1] "\\fR (" words[2] ")")
    put(escape(parts[2]))
}

# --- the header ---

# A comment in column 1 has ended: block[1..n].
function take_comment(    i) {
    if (!introduced) {
        put_introduction(block, block_count)
        introduced = 1
    } else if (block[1] ~ /^-----/) {
        put_item()
        put_section(block, block_count)
    } else {
        if (code_count) put_item() # a new item without a blank line
        if (text_count) text[++text_count] = ""
        for (i = 1; i <= block_count; i++) text[++text_count] = block[i]
    }
}

function add_block_line(line) {
    sub(/ *\*\/ *$/, "", line)
    sub(/^ \* ?/, "", line)
    sub(/ *$/, "", line)
    if (line == "" && block_count == 0) return
    block[++block_count] = line
}

NR == 1 { next } # the licence

in_comment {
    add_block_line($0)
    if ($0 ~ /\*\//) {
        in_comment = 0
        while (block_count > 0 && block[block_count] == "") block_count--
        take_comment()
    }
    next
}
/^\/\*/ {
    block_count = 0
    line = $0
    sub(/^\/\* ?/, "", line)
    if (line ~ /\*\//) {
        add_block_line(line)
        take_comment()
    } else {
        if (line != "") add_block_line(line)
        in_comment = 1
    }
    next
}

/^#define UNTORN_STATUS_LIST/ { put_item(); in_status = 1; next }
in_status && /^ *X\(/ { put_status($0); next }
in_status && /\\$/ { next }
in_status { in_status = 0; put(".PP") }
/^typedef enum untorn_status/ { in_enum = 1 }
in_enum { if (/^}/) in_enum = 0; next }

/^#(ifndef|ifdef|if|else|endif|include|undef)/ || /^#define UNTORN_(H|API)/ || /^extern "C"/ || /^}$/ { next }
/^ *$/ {
    if (depth > 0) code[++code_count] = ""
    else put_item()
    next
}
{
    line = $0
    depth += gsub(/\{/, "", line) - gsub(/\}/, "", line)
    if (match($0, /untorn_[a-z_]+\(/) && $0 !~ /^typedef/ && $0 !~ /^ +[\/*]/) {
        call = substr($0, RSTART, RLENGTH - 1)
        if ($0 ~ /^UNTORN_API/) calls[++call_count] = call
    }
    code[++code_count] = $0
}

END {
    put_item()
    if (list) {
        for (i = 1; i <= call_count; i++) print calls[i]
        exit
    }
    print ".\\\" Made from include/untorn.h; do not edit."
    print ".TH UNTORN 3 " date " \"Untorn " version "\" \"Library calls\""
    print ".nh"
    print ".ad l"
    print ".SH NAME"
    names = "untorn"
    for (i = 1; i <= call_count; i++) names = names ",\n" calls[i]
    print names " \\- shared-memory array cache with one writer and many readers"
    print ".SH SYNOPSIS"
    print ".nf"
    print "\\fB#include <untorn.h>\\fR"
    print ""
    print "cc program.c $(pkg\\-config \\-\\-cflags \\-\\-libs untorn)"
    print ".fi"
    printf "%s", body
    print ".SH SEE ALSO"
    print ".BR untorn (1),"
    print ".BR shmstat (1),"
    print ".BR untorn\\-segment (5),"
    print ".BR untorn\\-store (5),"
    print ".BR untorn\\-manifest (5)"
}
