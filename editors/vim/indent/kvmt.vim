if exists("b:did_indent")
  finish
endif
let b:did_indent = 1

setlocal indentexpr=GetKvmtIndent() indentkeys=0},0],o,O,!^F
let b:undo_indent = "setlocal indentexpr< indentkeys<"

if exists("*GetKvmtIndent")
  finish
endif

" A line that ends with an opening bracket, a comment behind it left out, puts those below it one level deeper.
function GetKvmtIndent() abort
  let above = prevnonblank(v:lnum - 1)
  if above == 0
    return 0
  endif
  let text = substitute(getline(above), '"\%([^"\\]\|\\.\)*"', '', 'g')
  let text = substitute(text, '#.*$', '', '')
  let indent = indent(above)
  if text =~# '[{[]\s*$'
    let indent += shiftwidth()
  endif
  if getline(v:lnum) =~# '^\s*[]}]'
    let indent -= shiftwidth()
  endif
  return indent
endfunction
