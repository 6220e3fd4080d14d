# Installs the packages that package-lock.json in FROM names into TO/node_modules:
#
#   cmake -DNPM=npm -DFROM=dir -DTO=dir -DSTAMP=file -P npm_ci.cmake
#
# Nothing that a package brings is run, and what npm has fetched before is not fetched again.
foreach(file package.json package-lock.json)
  configure_file(${FROM}/${file} ${TO}/${file} COPYONLY)
endforeach()
execute_process(
    COMMAND ${NPM} ci --ignore-scripts --prefer-offline --no-audit --no-fund --loglevel=error
    WORKING_DIRECTORY ${TO} RESULT_VARIABLE status)
if(NOT status EQUAL 0)
  message(FATAL_ERROR "npm could not install the packages of the web pages (above: why). Without a network, "
      "configure with -DWEB_PAGES=OFF: then the program has no chat page and no console, and all else.")
endif()
file(TOUCH ${STAMP})
