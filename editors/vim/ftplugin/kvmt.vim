if exists("b:did_ftplugin")
  finish
endif
let b:did_ftplugin = 1

setlocal commentstring=#\ %s comments=:# formatoptions-=t
setlocal expandtab shiftwidth=2 softtabstop=2
if executable("kvmc")
  setlocal formatprg=kvmc\ fmt\ -
endif
let b:undo_ftplugin = "setlocal commentstring< comments< formatoptions< expandtab< shiftwidth< softtabstop< formatprg<"
