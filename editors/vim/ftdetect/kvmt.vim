autocmd BufRead,BufNewFile *.kvmt setfiletype kvmt
